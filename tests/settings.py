"""The project's settings as tests and the type checker see them: development, with a data folder of their own."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

from tests.processes import OPEN_DOOR

_data = tempfile.mkdtemp(prefix="repartee-tests-")
atexit.register(shutil.rmtree, _data, ignore_errors=True)
os.environ.update(REPARTEE_ENV="development", REPARTEE_DATA=_data)
for _name in ("DATABASE_URL", "REDIS_URL", "REPARTEE_DEV_API_KEY", "OPENAI_API_KEY", "REPARTEE_LLM_BASE_URL"):
    os.environ.pop(_name, None)

os.environ.update(OPEN_DOOR)

from project.settings import *  # noqa: E402, F403 - the environment above must come first

CELERY_TASK_ALWAYS_EAGER = True
