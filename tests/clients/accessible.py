# Prints all that a screen reader would find on the desktop, one JSON object a line; or, with the
# arguments ROLE NAME, presses the last button or menu item of that name, which is that of the newest
# window, and ends with 1 if there is none.
import json
import sys

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, GLib

# A client shows at most a few hundred things; more in one place would be an endless list.
CHILDREN_MAX = 300


def show(thing, depth):
    try:
        text = thing.get_text_iface()
        component = thing.get_component_iface()
        place = [0, 0, 0, 0]
        if component:
            extents = Atspi.Component.get_extents(component, Atspi.CoordType.SCREEN)
            place = [extents.x, extents.y, extents.width, extents.height]
        line = {
            "depth": depth,
            "role": thing.get_role_name(),
            "words": (Atspi.Text.get_text(text, 0, -1) if text else "") or thing.get_name() or "",
            "description": thing.get_description() or "",
            "place": place,
        }
        children = [
            thing.get_child_at_index(index)
            for index in range(min(thing.get_child_count(), CHILDREN_MAX))
        ]
    except GLib.Error:
        # It went away while we looked.
        return
    print(json.dumps(line))
    for child in children:
        if child:
            show(child, depth + 1)


def find(thing, role, name):
    found = thing if thing.get_role_name() == role and thing.get_name() == name else None
    for index in range(min(thing.get_child_count(), CHILDREN_MAX)):
        child = thing.get_child_at_index(index)
        found = (child and find(child, role, name)) or found
    return found


Atspi.init()
if len(sys.argv) == 1:
    show(Atspi.get_desktop(0), 0)
else:
    button = find(Atspi.get_desktop(0), *sys.argv[1:])
    if not button or not Atspi.Action.do_action(button.get_action_iface(), 0):
        sys.exit(1)
