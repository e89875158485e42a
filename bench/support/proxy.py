"""A TCP proxy before a PostgreSQL socket that adds the delay of a network, and counts.

Each chunk of data arrives half of the round trip later, in order; the next ones are under way
during that time, so that throughput stays. A new connection waits one round trip, as a handshake
does. Run as a program, it prints its port, and for each line of standard input the counts since
the line before it.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

_CHUNK = 65_536
_UNDER_WAY = 4_096
"""The most chunks under way in one direction; more wait at the sender."""
_STARTUP_HEADER = 8
_UNTYPED = {80877103, 80877104}
"""The requests for encryption, answered before the startup message."""
_EXECUTES = frozenset(b"QE")
"""Messages of the client that run a statement: a simple query, and an execution."""


@dataclass
class Counts:
    """What passed.

    Attributes:
        round_trips: How often the client sent something after the server had.
        statements: Statements run, BEGIN and COMMIT included.
    """

    connections: int = 0
    round_trips: int = 0
    statements: int = 0


@dataclass
class Statements:
    """Counts the statements in a client's stream of one connection."""

    counts: Counts
    _rest: bytearray = field(default_factory=bytearray)
    _skip: int = 0
    _started: bool = False

    def feed(self, data: bytes) -> None:
        """Read the next part of the stream."""
        self._rest += data
        while self._rest:
            skipped = min(self._skip, len(self._rest))
            del self._rest[:skipped]
            self._skip -= skipped
            if self._skip or not self._message():
                return

    def _message(self) -> bool:
        """Read the head of one message; False if it is not complete yet."""
        if not self._started:
            if len(self._rest) < _STARTUP_HEADER:
                return False
            self._skip = int.from_bytes(self._rest[:4])
            self._started = int.from_bytes(self._rest[4:8]) not in _UNTYPED
            return True
        if len(self._rest) < 5:
            return False
        self.counts.statements += self._rest[0] in _EXECUTES
        self._skip = 1 + int.from_bytes(self._rest[1:5])
        return True


@dataclass
class Link:
    """One connection through the proxy."""

    counts: Counts
    one_way: float
    statements: Statements
    server_spoke: bool = True

    async def carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_client: bool
    ) -> None:
        """Carry everything from the reader to the writer, later by half of the round trip."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDER_WAY)
        delivery = asyncio.create_task(self._deliver(under_way, writer, to_client=not from_client))
        clock = asyncio.get_running_loop().time
        handshake = 2 * self.one_way if from_client else 0.0
        ended = False
        while not ended:
            data = await _read(reader)
            if from_client and data:
                self.counts.round_trips += self.server_spoke
                self.server_spoke = False
                self.statements.feed(data)
            await under_way.put((clock() + self.one_way + handshake, data))
            handshake = 0.0
            ended = not data
        await delivery

    async def _deliver(
        self,
        under_way: asyncio.Queue[tuple[float, bytes]],
        writer: asyncio.StreamWriter,
        *,
        to_client: bool,
    ) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due, data = await under_way.get()
            # The loop rounds a wait up to the next millisecond.
            if (wait := due - clock() - 0.0005) > 0:
                await asyncio.sleep(wait)
            if not data:
                writer.close()
                return
            if to_client:
                self.server_spoke = True
            # A receiver that is gone is no reason to stop reading: the sender notices itself.
            with suppress(ConnectionError):
                writer.write(data)
                await writer.drain()


async def _read(reader: asyncio.StreamReader) -> bytes:
    """The next chunk; empty at the end, and when the connection broke."""
    try:
        return await reader.read(_CHUNK)
    except ConnectionError:
        return b""


async def _serve(socket: str, round_trip: float) -> None:
    counts = Counts()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        counts.connections += 1
        link = Link(counts, round_trip / 2, Statements(counts))
        far_reader, far_writer = await asyncio.open_unix_connection(socket)
        # Connections that are open when the proxy ends are cancelled.
        with suppress(asyncio.CancelledError):
            await asyncio.gather(
                link.carry(reader, far_writer, from_client=True),
                link.carry(far_reader, writer, from_client=False),
            )

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def take() -> None:
        print(json.dumps(asdict(counts)), flush=True)
        vars(counts).update(asdict(Counts()))

    def listen() -> None:
        for _ in sys.stdin:
            loop.call_soon_threadsafe(take)
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=listen, daemon=True).start()
    await ended.wait()


@dataclass
class Proxy:
    """A running proxy."""

    port: int
    _process: "subprocess.Popen[str]"

    @property
    def url(self) -> str:
        """The address of the database ``pims`` through the proxy."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/pims"

    def take_counts(self) -> Counts:
        """The counts since the last call."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Counts(**json.loads(self._process.stdout.readline()))


@contextmanager
def proxy(socket: Path, round_trip: float) -> Iterator[Proxy]:
    """A proxy in a process of its own, with this round trip in seconds."""
    command = [sys.executable, __file__, str(socket), str(round_trip)]
    with ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        # Its process ends when its standard input is closed, which the context does.
        assert process.stdout is not None
        yield Proxy(int(process.stdout.readline()), process)


if __name__ == "__main__":
    with suppress(PermissionError):
        os.nice(-10)  # so that its delays are right on a busy machine
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(sys.argv[1], float(sys.argv[2])))
