"""A party on the dedicated link: asks for many users at once, and has each of them shown a page.

Usage: SECRET=... partner.py acme.presence.example.org HOST PORT URL USER...
"""

import asyncio
import os
import sys

from slixmpp.componentxmpp import ComponentXMPP
from slixmpp.exceptions import IqError
from slixmpp.xmlstream import ET

BULK = "{urn:x-presence-service:bulk:0}"
RIGHTS = "{urn:x-presence-service:rights:0}"
COMMANDS = "urn:x-presence-service:cmd:0"


async def snapshot(partner, component, users):
    """For each user the <of/> with her state and the rights: up to 100 users, page by page."""
    found = []
    while len(found) < len(users):
        iq = partner.make_iq_get(ito=component, ifrom=f"bot@{partner.boundjid.bare}")
        asked = ET.SubElement(iq.xml, BULK + "snapshot", after=str(len(found)))
        for user in users:
            ET.SubElement(asked, BULK + "of", jid=user)
        answer = (await iq.send(timeout=30)).xml.find(BULK + "snapshot")
        found += answer.findall(BULK + "of")
    return found


async def open_page(partner, address, url):
    form = partner.plugin["xep_0004"].make_form(ftype="submit")
    form.add_field(var="FORM_TYPE", ftype="hidden", value=COMMANDS)
    form.add_field(var="url", value=url)
    try:
        answer = await partner.plugin["xep_0050"].send_command(
            address,
            f"{COMMANDS}#open-url",
            ifrom=f"bot@{partner.boundjid.bare}",
            payload=form,
            timeout=40,
        )
    except IqError as error:
        return error.condition
    return answer["command"]["form"].get_values()["outcome"]


async def main(domain, host, port, url, *users):
    component = domain.partition(".")[2]
    partner = ComponentXMPP(domain, os.environ["SECRET"], host, int(port))
    # Over TLS from the first byte, and never without. By itself a component of slixmpp knows no TLS.
    partner.tls_services = {"xmpps-component"}
    partner.enable_plaintext = False
    for plugin in ("xep_0004", "xep_0030", "xep_0050", "xep_0199"):
        partner.register_plugin(plugin)
    partner.connect()
    await partner.wait_until("session_start", 30)
    for found in await snapshot(partner, component, users):
        state = found.find(RIGHTS + "state")
        rights = [right.get("name") for right in found.findall(RIGHTS + "right")]
        if state is None:
            print(found.get("jid"), "nobody", flush=True)
            continue
        print(found.get("jid"), state.get("show"), found.get("level"), *rights, flush=True)
        if "open-url" in rights:
            address = found.get("jid").replace("@", r"\40") + "@" + component
            print("outcome:", await open_page(partner, address, url), flush=True)
    await partner.disconnect()


asyncio.run(main(*sys.argv[1:]))
