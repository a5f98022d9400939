// Has a web page opened on somebody's screen, and asks until that has ended.
//
// Usage: PASSWORD=... node open_page.mjs bot@example.net ADDRESS URL REASON [HOST PORT]
//
// ADDRESS is hers at the component: alice\40example.org@presence.example.org

import { setTimeout as sleep } from "node:timers/promises";

import { client, jid, xml } from "@xmpp/client";

const COMMANDS = "http://jabber.org/protocol/commands";
const CMD = "urn:x-presence-service:cmd:0";
const FORMS = "jabber:x:data";

const field = (name, value) => xml("field", { var: name }, xml("value", {}, value));

/** Runs a command and returns its end: completed, refused, failed, expired, or unknown. */
async function run(xmpp, address, right, fields) {
  const node = `${CMD}#${right}`;
  const form = xml(
    "x",
    { xmlns: FORMS, type: "submit" },
    field("FORM_TYPE", CMD),
    ...Object.entries(fields).map(([name, value]) => field(name, value)),
  );
  // The answer may take 25 seconds. A stanza error, thrown, means that nothing was done.
  let command = await xmpp.iqCaller.set(
    xml("command", { xmlns: COMMANDS, node, action: "execute" }, form),
    address,
    40_000,
  );
  if (command.attrs.status === "executing") console.log("she is being asked");
  while (command.attrs.status === "executing") {
    await sleep(5_000);
    const { sessionid } = command.attrs;
    command = await xmpp.iqCaller.set(
      xml("command", { xmlns: COMMANDS, node, sessionid, action: "next" }),
      address,
      40_000,
    );
  }
  const result = command.getChild("x", FORMS).getChildren("field");
  return result.find((field) => field.attrs.var === "outcome").getChildText("value");
}

/** Says good-bye. Some servers reset the connection where they should close it; that is no error any more. */
async function leave(xmpp) {
  xmpp.removeAllListeners("error");
  xmpp.on("error", () => {});
  await Promise.race([xmpp.stop().catch(() => {}), sleep(2_000)]);
  process.exit();
}

const [me, address, url, reason, host, port] = process.argv.slice(2);
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
console.log("outcome:", await run(xmpp, address, "open-url", { url, reason }));
await leave(xmpp);
