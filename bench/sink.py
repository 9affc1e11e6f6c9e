"""A mail server that takes every mail and counts them by recipient: the other end of `bench/night.py`.

    python bench/sink.py FILE

Writes its port to standard output and, at the end of its standard input, the counts to the file.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path


async def main(file: Path) -> None:
    """Serve until standard input ends."""
    taken: Counter[str] = Counter()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink.example ready\r\n")
        recipient = ""
        while line := await reader.readline():
            command, _, rest = line.decode().strip().partition(" ")
            answer = b"250 ok\r\n"
            match command.upper():
                case "RCPT":
                    recipient = rest[rest.index("<") + 1 : rest.index(">")]
                case "DATA":
                    writer.write(b"354 go ahead\r\n")
                    await writer.drain()
                    while (await reader.readline()) != b".\r\n":
                        pass
                    taken[recipient] += 1
                case "QUIT":
                    answer = b"221 bye\r\n"
            writer.write(answer)
            await writer.drain()
            if answer.startswith(b"221"):
                break
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()
    file.write_text(json.dumps(taken), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
