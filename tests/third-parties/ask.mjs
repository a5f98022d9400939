// Asks whether somebody is there, and what this bot may do for her now.
//
// Usage: PASSWORD=... node ask.mjs bot@example.net alice@example.org presence.example.org [HOST PORT]

import { setTimeout as sleep } from "node:timers/promises";

import { client, jid, xml } from "@xmpp/client";

const RIGHTS = "urn:x-presence-service:rights:0";
const ERRORS = "urn:x-presence-service:errors:0";

/** Her address at the component (XEP-0106). */
function presentity(user, component) {
  const hex = (c) => "\\" + c.charCodeAt(0).toString(16);
  const escaped = user
    .toLowerCase()
    .replace(/\\(?=2[0267f]|3[ace]|40|5c)/g, "\\5c")
    .replace(/[ "&'/:<>@]/g, hex);
  return `${escaped}@${component}`;
}

/** The <query/> with her state and the rights; null if she is nobody, or not for this bot to see. */
async function query(xmpp, address) {
  for (;;) {
    try {
      return await xmpp.iqCaller.get(xml("query", RIGHTS), address);
    } catch (error) {
      const wait = error.element?.getChild("retry-after", ERRORS);
      if (wait) {
        // More questions than the limit allows.
        console.log("query: again in", wait.attrs.seconds, "s");
        await sleep(1000 * Number(wait.attrs.seconds));
      } else if (error.condition === "service-unavailable") {
        return null;
      } else {
        throw error;
      }
    }
  }
}

/** The presence that answers a probe; null is silence, which is how a refusal looks here. */
async function probe(xmpp, address, seconds = 5) {
  let heard;
  const answer = new Promise((resolve) => {
    heard = (stanza) => {
      if (stanza.is("presence") && jid(stanza.attrs.from).bare().toString() === address) {
        resolve(stanza);
      }
    };
    xmpp.on("stanza", heard);
  });
  await xmpp.send(xml("presence", { type: "probe", to: address }));
  const presence = await Promise.race([answer, sleep(1000 * seconds, null)]);
  xmpp.removeListener("stanza", heard);
  return presence;
}

/** Says good-bye. Some servers reset the connection where they should close it; that is no error any more. */
async function leave(xmpp) {
  xmpp.removeAllListeners("error");
  xmpp.on("error", () => {});
  await Promise.race([xmpp.stop().catch(() => {}), sleep(2_000)]);
  process.exit();
}

const [me, user, component, host, port] = process.argv.slice(2);
const { local, domain } = jid(me);
const xmpp = client({
  service: host ? `xmpp://${host}:${port}` : domain,
  domain,
  username: local,
  password: process.env.PASSWORD,
  timeout: 30_000, // 2 s by itself, for each step of the login.
});
xmpp.on("error", (error) => console.error(error));
// An error may answer before the library has told that the question is sent, and nobody listens for it yet.
process.on("unhandledRejection", (error) => {
  if (error.name !== "StanzaError") throw error; // That one is thrown where the answer is awaited.
});
await xmpp.start();
const address = presentity(user, component);

const found = await query(xmpp, address);
if (found === null) {
  console.log("query: nobody");
} else {
  const state = found.getChild("state");
  console.log("query:", state.attrs.show, "-", state.getChildText("status") ?? "");
  console.log("level:", found.attrs.level);
  console.log("rights:", ...found.getChildren("right").map((right) => right.attrs.name));
}

const presence = await probe(xmpp, address);
if (presence === null) {
  console.log("probe: silence");
} else {
  const type = presence.attrs.type ?? presence.getChildText("show") ?? "available";
  console.log("probe:", type, "-", presence.getChildText("status") ?? "");
}
await leave(xmpp);
