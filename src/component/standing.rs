//! Whether a user is served, and whether we see her presence: the changes of her profile that come from
//! her server. How she joins is in `join`, what she sets for others in `setting`.

use super::record::Profile;
use super::setting::What;

/// What she is told when she no longer lets us see her presence.
pub(super) const UNSEEN: &str = "You no longer let me see your presence, so others see you offline, with your status \
                      text. Send “join” to be asked again, or “leave” to erase what is stored.";

/// What becomes of her profile; `None` where everything is so already. `answer`: what she is to be told.
pub(super) fn plan(what: &What, profile: Profile, answer: &mut String) -> Option<Profile> {
    Some(match what {
        What::Sleep | What::Lost => Profile {
            dormant: true,
            subscribed: false,
            lost: matches!(what, What::Lost),
            ..profile
        },
        What::Found if profile.lost => Profile {
            dormant: false,
            subscribed: true,
            declined: false,
            lost: false,
            ..profile
        },
        What::Seen(seen) if profile.subscribed != *seen || profile.declined == *seen => {
            if profile.subscribed && !seen {
                UNSEEN.clone_into(answer);
            }
            Profile {
                subscribed: *seen,
                declined: !*seen,
                ..profile
            }
        }
        _ => return None,
    })
}
