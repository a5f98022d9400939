"""Turns a token that somebody has given to this bot into rights that last: it is shown once, and never again.

Usage: PASSWORD=... TOKEN=... redeem.py bot@example.net ADDRESS [HOST PORT]
"""

import asyncio
import os
import sys

from slixmpp import ClientXMPP
from slixmpp.exceptions import IqError
from slixmpp.stanza import Error
from slixmpp.xmlstream import ET

AUTHZ = "{urn:x-presence-service:authz:0}"

# slixmpp 1.17 lacks this condition, and would wait in vain for an answer that has it.
Error.conditions.add("policy-violation")


async def main(jid, address, *server):
    bot = ClientXMPP(jid, os.environ["PASSWORD"])
    bot.connect(*server)
    await bot.wait_until("session_start", 30)
    iq = bot.make_iq_set(ito=address)
    redeem = ET.SubElement(iq.xml, AUTHZ + "redeem")
    ET.SubElement(redeem, AUTHZ + "token").text = os.environ["TOKEN"]
    try:
        grant = (await iq.send(timeout=30)).xml.find(AUTHZ + "grant")
        print("granted:", grant.get("level"), "until", grant.get("expires"))
    except IqError as error:
        print("refused:", error.condition)
    await bot.disconnect()


asyncio.run(main(*sys.argv[1:]))
