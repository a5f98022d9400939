"""Lists what may be done for somebody, and leaves her a message by the form, as a chat client does.

Usage: PASSWORD=... leave_message.py bot@example.net ADDRESS TEXT [HOST PORT]
"""

import asyncio
import os
import sys

from slixmpp import ClientXMPP

COMMANDS = "http://jabber.org/protocol/commands"
NODE = "urn:x-presence-service:cmd:0#leave-message"


async def main(jid, address, text, *server):
    bot = ClientXMPP(jid, os.environ["PASSWORD"])
    for plugin in ("xep_0004", "xep_0030", "xep_0050"):
        bot.register_plugin(plugin)
    bot.connect(*server)
    await bot.wait_until("session_start", 30)

    found = await bot.plugin["xep_0030"].get_items(address, node=COMMANDS, timeout=30)
    for _, node, name in found["disco_items"]["items"]:
        print("command:", node, "-", name)

    # The first step gets the form, the second sends it back in the same session.
    offer = await bot.plugin["xep_0050"].send_command(address, NODE, timeout=40)
    form = offer["command"]["form"]
    for var, field in form.get_fields().items():
        print("field:", var, "-", field["type"])
    form.reply()
    form.set_values({"text": text})
    answer = await bot.plugin["xep_0050"].send_command(
        address,
        NODE,
        action="complete",
        payload=form,
        sessionid=offer["command"]["sessionid"],
        timeout=40,
    )
    print("outcome:", answer["command"]["form"].get_values()["outcome"])
    print("note:", answer["command"]["notes"][0][1])
    await bot.disconnect()


asyncio.run(main(*sys.argv[1:]))
