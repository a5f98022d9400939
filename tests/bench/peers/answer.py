"""slixmpp, its leanest way: a handler that writes the same presence for each probe. Usage: answer.py PORT."""

import asyncio
import sys

from slixmpp.componentxmpp import ComponentXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath


def main() -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    xmpp = ComponentXMPP("presence.localhost", "sekrit", "127.0.0.1", int(sys.argv[1]))

    def answer(probe) -> None:
        if probe["type"] == "probe":
            xmpp.send_raw(
                f"<presence from='{probe['to']}' to='{probe['from']}'>"
                "<show>away</show><status>lunch</status></presence>"
            )

    xmpp.remove_handler("Presence")
    xmpp.register_handler(
        Callback("probe", MatchXPath("{jabber:component:accept}presence"), answer)
    )
    xmpp.connect()
    loop.run_forever()


main()
