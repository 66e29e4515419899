"""When Pipecat's own voice detection says that somebody speaks: the moment at which its bots are interrupted.

Reads the paths of 16 kHz PCM files, and prints for each the ms heard by then, or "-". Needs the peer's environment.
"""

import asyncio
import sys
from pathlib import Path

from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADState

RATE = 16_000
FRAME = RATE // 50 * 2


async def start_ms(pcm: bytes) -> str:
    analyzer = SileroVADAnalyzer(sample_rate=RATE)
    analyzer.set_sample_rate(RATE)
    try:
        for at in range(0, len(pcm), FRAME):
            if await analyzer.analyze_audio(pcm[at : at + FRAME]) is VADState.SPEAKING:
                return str((at + FRAME) * 1000 // (2 * RATE))
    finally:
        await analyzer.cleanup()
    return "-"


if __name__ == "__main__":
    for path in sys.stdin.read().splitlines():
        print(asyncio.run(start_ms(Path(path).read_bytes())))
