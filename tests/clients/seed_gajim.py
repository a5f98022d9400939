# Writes Gajim's settings with one account: FILE PORT PASSWORD.
import json
import sqlite3
import sys

from gajim.common.settings import CREATE_SQL

file, port, password = sys.argv[1:]
app = {"use_keyring": False, "check_for_update": False}
account = {
    "account": {
        "name": "bob",
        "account_label": "bob",
        "active": True,
        "hostname": "localhost",
        "password": password,
        "savepass": True,
        "resource": "gajim",
        "use_custom_host": True,
        "custom_host": "127.0.0.1",
        "custom_port": int(port),
        "custom_type": "START TLS",
    }
}
with sqlite3.connect(file) as database:
    database.executescript(CREATE_SQL)
    database.execute("UPDATE settings SET settings = ? WHERE name = 'app'", (json.dumps(app),))
    database.execute(
        "INSERT INTO account_settings (account, settings) VALUES ('bob', ?)",
        (json.dumps(account),),
    )
