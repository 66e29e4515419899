"""The local models of one process: each loaded once, at its first use or when warmed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from hibari import Hibari

from agents.audio import Audio
from agents.errors import ConfigurationError
from agents.providers.local import hibari, silero, smart_turn, whisper_weights
from agents.providers.local.hibari import HibariTTS
from agents.providers.local.llama import Llama, LlamaLLM
from agents.providers.local.pool import Pool
from agents.providers.local.runtime import RATE, Lazy
from agents.providers.local.silero import SileroVAD
from agents.providers.local.smart_turn import SmartTurn
from agents.providers.local.whisper import WhisperOptions, WhisperSTT
from agents.providers.local.whisper_model import Whisper
from agents.spec import LLMSpec, STTSpec

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # every model is in a package: nothing may be downloaded


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """Threads of each model, for two cores; jobs that may wait for each; seconds until a job is given up.

    `partial_every_ms` turns partial transcripts on; see WhisperOptions.
    """

    stt_threads: int = 2
    end_of_turn_threads: int = 1
    tts_threads: int = 1
    llm_threads: int = 2
    queue: int = 64
    timeout_s: float = 15.0
    partial_every_ms: float | None = None


class LocalModels:
    """`data_dir` is where the speech model's two halves are joined, once. Close it when the process ends."""

    def __init__(self, data_dir: Path, options: LocalOptions = LocalOptions()) -> None:
        self.pool = Pool(options.queue)
        self._options = options
        self._silero: Lazy[onnxruntime.InferenceSession] = Lazy(silero.load)
        self._loading_silero = asyncio.Lock()
        self._smart_turn = Lazy(lambda: smart_turn.load(options.end_of_turn_threads))
        self._whisper = Lazy(lambda: Whisper(whisper_weights.directory(data_dir), threads=options.stt_threads))
        self._hibari: Lazy[Hibari] = Lazy(lambda: hibari.load(options.tts_threads))
        self._llamas: dict[str, Lazy[Llama]] = {}

    @property
    def ready(self) -> Mapping[str, bool]:
        """Whether each model is loaded; a GGUF model only appears once an agent has asked for it."""
        parts = {
            "vad": self._silero.ready,
            "end_of_turn": self._smart_turn.ready,
            "stt": self._whisper.ready,
            "tts": self._hibari.ready,
        }
        return parts | {f"llm:{Path(path).name}": llama.ready for path, llama in self._llamas.items()}

    async def warm(self, on_progress: Callable[[str, int, int], None] | None = None) -> None:
        """Load each model and run it once; `on_progress(name, done, of)` after each.

        ConfigurationError says what to install or free when one cannot be loaded.
        """
        first_runs = {
            "vad": (self.pool.end_of_turn, self._run_vad),
            "end_of_turn": (self.pool.end_of_turn, self._run_end_of_turn),
            "stt": (self.pool.stt, self._run_stt),
            "tts": (self.pool.tts, self._run_tts),
        }
        for done, (name, (lane, run)) in enumerate(first_runs.items(), start=1):
            await lane.submit(run)
            if on_progress:
                on_progress(name, done, len(first_runs))

    def vad(self) -> SileroVAD:
        return SileroVAD(self._silero)

    async def vad_loaded(self) -> None:
        """Wait until the VAD is loaded, so that it can run on the event loop."""
        if not self._silero.ready:
            async with self._loading_silero:
                await self.pool.end_of_turn.run(self._silero.get, timeout_s=self._options.timeout_s)

    def end_of_turn(self) -> SmartTurn:
        return SmartTurn(self._smart_turn, self.pool.end_of_turn, timeout_s=self._options.timeout_s)

    def stt(self, spec: STTSpec) -> WhisperSTT:
        if spec.model not in ("", whisper_weights.NAME):
            raise ConfigurationError(f"The embedded speech model is {whisper_weights.NAME}, not {spec.model!r}.")
        options = WhisperOptions(
            language=spec.language.partition("-")[0].lower() or "en",
            prompt=spec.prompt,
            timeout_s=self._options.timeout_s,
            partial_every_ms=self._options.partial_every_ms,
        )
        return WhisperSTT(self._whisper, self.pool.stt, options, name=whisper_weights.NAME)

    def tts(self) -> HibariTTS:
        return HibariTTS(self._hibari, self.pool.tts, timeout_s=self._options.timeout_s)

    def llm(self, spec: LLMSpec) -> LlamaLLM:
        """The GGUF file that `spec.model` names; one file is loaded once, at its first answer."""
        if not spec.model:
            raise ConfigurationError("No language model is embedded: give the agent an account, or a GGUF file's path.")
        path = Path(spec.model)
        model = self._llamas.setdefault(spec.model, Lazy(lambda: Llama(path, threads=self._options.llm_threads)))
        return LlamaLLM(model, self.pool.llm, name=path.name, timeout_s=self._options.timeout_s)

    def close(self) -> None:
        self.pool.close()

    def _run_vad(self) -> None:
        self.vad().open().push(_silence(0.1))

    def _run_end_of_turn(self) -> None:
        smart_turn.score(self._smart_turn.get(), _silence(1.0))

    def _run_stt(self) -> None:
        self._whisper.get().decode(_silence(1.0), "en")

    def _run_tts(self) -> None:
        self._hibari.get()("Ready.")


def _silence(seconds: float) -> Audio:
    return Audio.from_float(np.zeros(round(seconds * RATE), np.float32), RATE)
