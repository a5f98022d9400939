"""A partner on the dedicated link, by slixmpp's own component class.

Usage: partner.py HOST PORT DOMAIN SECRET PRESENTITY

Probes, asks for the rights, has a page opened, and prints a line for each answer.
"""

import asyncio
import sys

from slixmpp.componentxmpp import ComponentXMPP
from slixmpp.xmlstream import ET

RIGHTS = "{urn:x-presence-service:rights:0}"
NODE = "urn:x-presence-service:cmd:0#open-url"


def told(element):
    names = sorted(right.get("name") for right in element.iter(RIGHTS + "right"))
    return f"{element.get('level')} {','.join(names)}"


class Partner(ComponentXMPP):
    def __init__(self, domain, secret, host, port, presentity):
        super().__init__(domain, secret, host, port)
        self.presentity = presentity
        self.bot = f"bot@{domain}/slixmpp"
        self.answered = asyncio.get_event_loop().create_future()
        for plugin in ("xep_0004", "xep_0030", "xep_0050", "xep_0199"):
            self.register_plugin(plugin)
        self.add_event_handler("presence", self.on_presence)

    def on_presence(self, presence):
        if not self.answered.done():
            self.answered.set_result(presence)

    async def run(self):
        await self.wait_until("session_start", 20)
        self.send_presence(pto=self.presentity, pfrom=self.bot, ptype="probe")
        presence = await asyncio.wait_for(self.answered, 20)
        rights = presence.xml.find(RIGHTS + "rights")
        print("presence", presence["show"], presence["status"], told(rights), flush=True)

        iq = self.make_iq_get(ito=self.presentity, ifrom=self.bot)
        iq.append(ET.Element(RIGHTS + "query"))
        query = (await iq.send(timeout=20)).xml.find(RIGHTS + "query")
        state = query.find(RIGHTS + "state")
        print("query", state.get("show"), told(query), flush=True)

        form = self["xep_0004"].make_form(ftype="submit")
        form.add_field(var="url", value="https://example.net/agenda")
        answer = await self["xep_0050"].send_command(
            self.presentity, NODE, ifrom=self.bot, action="execute", payload=[form], timeout=40
        )
        command = answer["command"]
        print("command", command["status"], command["form"].get_values()["outcome"], flush=True)
        await self.disconnect()


async def main():
    host, port, domain, secret, presentity = sys.argv[1:]
    partner = Partner(domain, secret, host, int(port), presentity)
    partner.connect()
    await partner.run()


asyncio.run(main())
