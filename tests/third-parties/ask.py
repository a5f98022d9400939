"""Asks whether somebody is there, and what this bot may do for her now.

Usage: PASSWORD=... ask.py bot@example.net alice@example.org presence.example.org [HOST PORT]
"""

import asyncio
import os
import re
import sys

from slixmpp import ClientXMPP
from slixmpp.exceptions import IqError
from slixmpp.stanza import Error
from slixmpp.xmlstream import ET

RIGHTS = "{urn:x-presence-service:rights:0}"
ERRORS = "{urn:x-presence-service:errors:0}"

# slixmpp 1.17 lacks this condition, and would wait in vain for an answer that has it.
Error.conditions.add("policy-violation")


def presentity(user, component):
    """Her address at the component (XEP-0106)."""
    user = re.sub(r"\\(?=2[0267f]|3[ace]|40|5c)", r"\\5c", user.lower())
    return re.sub("[ \"&'/:<>@]", lambda c: f"\\{ord(c[0]):02x}", user) + "@" + component


async def query(bot, address):
    """The <query/> with her state and the rights; None if she is nobody, or not for this bot to see."""
    while True:
        iq = bot.make_iq_get(ito=address)
        iq.append(ET.Element(RIGHTS + "query"))
        try:
            return (await iq.send(timeout=30)).xml.find(RIGHTS + "query")
        except IqError as error:
            wait = error.iq.xml.find(f".//{ERRORS}retry-after")
            if wait is not None:  # More questions than the limit allows.
                print("query: again in", wait.get("seconds"), "s", flush=True)
                await asyncio.sleep(int(wait.get("seconds")))
            elif error.condition == "service-unavailable":
                return None
            else:
                raise


async def probe(bot, address, seconds=5):
    """The presence that answers a probe; None is silence, which is how a refusal looks here."""
    answer = asyncio.get_running_loop().create_future()

    def on_presence(presence):
        if presence["from"].bare == address and not answer.done():
            answer.set_result(presence)

    bot.add_event_handler("presence", on_presence)
    bot.send_presence(pto=address, ptype="probe")
    try:
        return await asyncio.wait_for(answer, seconds)
    except TimeoutError:
        return None
    finally:
        bot.del_event_handler("presence", on_presence)


async def main(jid, user, component, *server):
    bot = ClientXMPP(jid, os.environ["PASSWORD"])
    bot.connect(*server)
    await bot.wait_until("session_start", 30)
    address = presentity(user, component)

    found = await query(bot, address)
    if found is None:
        print("query: nobody")
    else:
        state = found.find(RIGHTS + "state")
        print("query:", state.get("show"), "-", state.findtext(RIGHTS + "status", ""))
        print("level:", found.get("level"))
        print("rights:", *(right.get("name") for right in found.findall(RIGHTS + "right")))

    presence = await probe(bot, address)
    if presence is None:
        print("probe: silence")
    else:
        print("probe:", presence["type"], "-", presence["status"])
    await bot.disconnect()


asyncio.run(main(*sys.argv[1:]))
