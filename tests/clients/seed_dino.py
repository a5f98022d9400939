# Adds an account, and an open conversation with each address, to Dino's database: FILE PASSWORD ADDRESS...
# Prints nothing, and ends with 1 where Dino has not yet made its tables.
import sqlite3
import sys

file, password, *addresses = sys.argv[1:]
with sqlite3.connect(f"file:{file}?mode=rw", uri=True) as database:
    tables = {name for name, in database.execute("SELECT name FROM sqlite_master")}
    if not {"account", "jid", "conversation", "settings"} <= tables:
        sys.exit(1)
    account = database.execute(
        "INSERT INTO account (bare_jid, resourcepart, password, alias, enabled)"
        " VALUES ('bob@localhost', 'dino', ?, 'bob', 1)",
        (password,),
    ).lastrowid
    for address in addresses:
        jid = database.execute("INSERT INTO jid (bare_jid) VALUES (?)", (address,)).lastrowid
        database.execute(
            "INSERT INTO conversation (account_id, jid_id, active, type, encryption, notification,"
            " send_typing, send_marker) VALUES (?, ?, 1, 0, 0, 0, 0, 0)",
            (account, jid),
        )
