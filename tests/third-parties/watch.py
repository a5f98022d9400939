"""Is told whenever somebody's state changes: subscribes, and prints what comes.

Usage: PASSWORD=... watch.py bot@example.net ADDRESS [HOST PORT]
"""

import asyncio
import os
import sys

from slixmpp import ClientXMPP


async def main(jid, address, *server):
    bot = ClientXMPP(jid, os.environ["PASSWORD"])

    def on_presence(presence):
        if presence["from"].bare == address:
            print(presence["type"], "-", presence["status"], flush=True)

    bot.add_event_handler("presence", on_presence)
    bot.connect(*server)
    await bot.wait_until("session_start", 30)
    # To be told by the own server, a client must be available itself.
    bot.send_presence()
    # Once is enough, but to ask again costs nothing: the server keeps it until she has decided.
    bot.send_presence_subscription(address)
    await bot.disconnected


asyncio.run(main(*sys.argv[1:]))
