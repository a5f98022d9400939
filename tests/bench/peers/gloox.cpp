// gloox: answers each probe with the same presence. Usage: gloox PORT.
#include <gloox/component.h>
#include <gloox/jid.h>
#include <gloox/presence.h>
#include <gloox/presencehandler.h>

#include <cstdlib>

namespace {

class Answering : public gloox::PresenceHandler {
 public:
  explicit Answering(gloox::Component& component) : component_(component) {}

  void handlePresence(const gloox::Presence& probe) override {
    if (probe.subtype() == gloox::Presence::Probe) {
      gloox::Presence answer(gloox::Presence::Away, probe.from(), "lunch");
      answer.setFrom(probe.to());
      component_.send(answer);
    }
  }

 private:
  gloox::Component& component_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  gloox::Component component("jabber:component:accept", "127.0.0.1", "presence.localhost", "sekrit",
                             std::atoi(argv[1]));
  Answering answering(component);
  component.registerPresenceHandler(&answering);
  return component.connect() ? 0 : 1;
}
