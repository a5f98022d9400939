"""Has a web page opened on somebody's screen, and waits for how that ends.

Usage: PASSWORD=... open_page.py bot@example.net ADDRESS URL REASON [HOST PORT]

ADDRESS is hers at the component: alice\\40example.org@presence.example.org
"""

import asyncio
import os
import sys
import uuid

from slixmpp import ClientXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

COMMANDS = "urn:x-presence-service:cmd:0"
OUTCOME = "{urn:x-presence-service:outcome:0}outcome"


async def run(bot, address, right, fields, patience=660):
    """Runs a command and returns its end: completed, refused, failed, expired, or unknown."""
    request = str(uuid.uuid4())
    ended = asyncio.get_running_loop().create_future()

    def on_outcome(message):
        outcome = message.xml.find(OUTCOME)
        it_is = message["from"].bare == address and outcome.get("request-id") == request
        if it_is and not ended.done():
            ended.set_result(outcome.get("state"))

    path = f"{{{bot.default_ns}}}message/{OUTCOME}"
    bot.register_handler(Callback(request, MatchXPath(path), on_outcome))
    try:
        form = bot.plugin["xep_0004"].make_form(ftype="submit")
        form.add_field(var="FORM_TYPE", ftype="hidden", value=COMMANDS)
        for var, value in {**fields, "request-id": request}.items():
            form.add_field(var=var, value=value)
        # The answer may take 25 seconds. A stanza error, as an exception, means that nothing was done.
        answer = await bot.plugin["xep_0050"].send_command(
            address, f"{COMMANDS}#{right}", payload=form, timeout=40
        )
        command = answer["command"]
        if command["status"] == "completed":
            return command["form"].get_values()["outcome"]
        # She is being asked. The end comes by itself, as a message.
        print("she is being asked", flush=True)
        return await asyncio.wait_for(ended, patience)
    finally:
        bot.remove_handler(request)


async def main(jid, address, url, reason, *server):
    bot = ClientXMPP(jid, os.environ["PASSWORD"])
    bot.register_plugin("xep_0004")
    bot.register_plugin("xep_0050")
    bot.connect(*server)
    await bot.wait_until("session_start", 30)
    print("outcome:", await run(bot, address, "open-url", {"url": url, "reason": reason}))
    await bot.disconnect()


asyncio.run(main(*sys.argv[1:]))
