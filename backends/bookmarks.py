"""Where listings were, for a service that can go on only from a marker of its own."""

from __future__ import annotations

import threading
from bisect import bisect_right, insort
from collections import OrderedDict

LISTINGS = 64
PLACES = 1000
"""For how many listings, and how many places in each, markers are kept."""

Listing = tuple[str, str]
"""A prefix and a delimiter."""


class Bookmarks:
    """Markers by the name that came before them. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: OrderedDict[Listing, list[tuple[bytes, str]]] = OrderedDict()

    def nearest(self, listing: Listing, after: str) -> tuple[str, str]:
        """The last place known that is not past ``after``, and its marker; both empty for the beginning."""
        with self._lock:
            places = self._places.get(listing)
            if places is None:
                return "", ""
            self._places.move_to_end(listing)
            at = bisect_right(places, after.encode(), key=lambda place: place[0])
            return (places[at - 1][0].decode(), places[at - 1][1]) if at else ("", "")

    def keep(self, listing: Listing, name: str, marker: str) -> None:
        place = name.encode(), marker
        with self._lock:
            places = self._places.setdefault(listing, [])
            self._places.move_to_end(listing)
            at = bisect_right(places, place[0], key=lambda known: known[0])
            if at and places[at - 1][0] == place[0]:
                places[at - 1] = place
            else:
                insort(places, place)
            if len(places) > PLACES:
                del places[1::2]
            if len(self._places) > LISTINGS:
                self._places.popitem(last=False)
