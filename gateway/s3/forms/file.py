"""The file of a form, which the core stores as it arrives: it ends by being refused, or by being whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from gateway.bodies import Pieces
from gateway.s3.errors import EntityTooLarge, EntityTooSmall, InvalidArgument
from gateway.s3.forms.framing import Event, Framing, Part
from gateway.s3.forms.policy import ANY_SIZE, SizeRange

FILE = "file"
"""The name of the part that is the file, in any case."""
AHEAD = 64 * 1024
"""A file up to this size is read before it is stored: so its length is known, which is the fast way to store it."""


class FormFile(Pieces):
    """A source for the core. ``allowed`` is what the policy says of its size, set before it is read.

    Iteration raises EntityTooLarge as soon as there is too much, and at the end EntityTooSmall, MalformedPOSTRequest
    where the form has no end, and InvalidArgument for a second file; fields below the file are passed over.
    """

    def __init__(
        self,
        framing: Framing,
        begun: Sequence[Event],
        rest: AsyncIterator[bytes],
        expected: int | None,
    ) -> None:
        self.length: int | None = None
        """Known once the whole was read, be it ahead."""
        self.sha256: str | None = None
        self.trailers: Mapping[str, str] = {}
        self.allowed: SizeRange = ANY_SIZE
        self._framing = framing
        self._begun = begun
        self._rest = rest
        self._expected = expected
        """The size, if nothing comes below the file."""
        self._ahead: list[bytes] = []
        self._pieces = self._read()

    def require_length(self) -> None:
        """Nothing: a form tells where its file ends."""

    async def begin(self) -> None:
        """Read ahead what a small file is made of."""
        size = 0
        async for piece in self._pieces:
            self._ahead.append(piece)
            size += len(piece)
            if size > AHEAD:
                return

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._ahead:
            yield piece
        self._ahead = []
        async for piece in self._pieces:
            yield piece

    async def _read(self) -> AsyncIterator[bytes]:
        within, size = True, 0
        async for events in self._events():
            for event in events:
                if isinstance(event, Part):
                    if event.name.lower() == FILE:
                        raise one_file_only(2)
                    within = False
                elif within:
                    size += len(event)
                    self._check_most(size)
                    yield event
        self._framing.finish()
        if size < self.allowed.least:
            raise EntityTooSmall(ProposedSize=str(size), MinSizeAllowed=str(self.allowed.least))
        self.length = size

    async def _events(self) -> AsyncIterator[Sequence[Event]]:
        yield self._begun
        async for chunk in self._rest:
            yield self._framing.feed(chunk)

    def _check_most(self, size: int) -> None:
        most = self.allowed.most
        if most is not None and size > most:
            proposed = max(size, self._expected or 0)
            raise EntityTooLarge(ProposedSize=str(proposed), MaxSizeAllowed=str(most))


def one_file_only(number: int) -> InvalidArgument:
    """The refusal of a form that has not exactly one file.

    AWS's list of errors has IncorrectNumberOfFilesInPostRequest for this; its servers answer so.
    """
    return InvalidArgument(
        "POST requires exactly one file upload per request.", ArgumentName=FILE, ArgumentValue=str(number)
    )
