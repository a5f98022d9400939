// @xmpp/component: answers each probe with the same presence. Usage: answer.mjs PORT.
import { component, xml } from "@xmpp/component";

const xmpp = component({
  service: `xmpp://127.0.0.1:${process.argv[2]}`,
  domain: "presence.localhost",
  password: "sekrit",
});

xmpp.on("error", () => process.exit(1));
xmpp.on("stanza", (stanza) => {
  if (stanza.is("presence") && stanza.attrs.type === "probe") {
    const { from, to } = stanza.attrs;
    xmpp.send(
      xml("presence", { from: to, to: from }, xml("show", {}, "away"), xml("status", {}, "lunch")),
    );
  }
});

xmpp.start();
