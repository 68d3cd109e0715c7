"""Python's websockets: client.py URL. Fails at the first surprise."""

import asyncio
import sys

import websockets

url = sys.argv[1]


async def returns_messages(path):
    async with websockets.connect(url + path, max_size=None, open_timeout=20) as socket:
        for text in ["", "flour", "grüße 🌾", "x" * 70000]:
            await socket.send(text)
            assert await socket.recv() == text
        for size in [0, 1, 126, 65536, 1000000]:
            data = bytes(at % 251 for at in range(size))
            await socket.send(data)
            assert await socket.recv() == data
        # A message in fragments, and a ping among them.
        await socket.send(["gr", "ist"])
        await asyncio.wait_for(await socket.ping(b"there?"), 20)
        assert await socket.recv() == "grist"
        for number in range(200):
            await socket.send(f"message {number} of many that are alike, and alike, and alike")
        for number in range(200):
            assert (await socket.recv()).startswith(f"message {number} ")
        await socket.close(4001, "bye")
        assert socket.close_code == 4001, socket.close_code


async def main():
    await returns_messages("/")
    await returns_messages("/split")
    await asyncio.gather(*(returns_messages("/") for _ in range(10)))


asyncio.run(main())
