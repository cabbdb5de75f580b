"""A full metrics folder, under load."""

from collections.abc import Iterator

import pytest

from tests.disk import Disk, mounted_disk
from tests.faults.conftest import Judge, stage_on
from tests.faults.load import Load
from tests.faults.trial import Form, Stage, observe
from tests.postgresql import Postgresql

DISK = "4m"


@pytest.fixture(scope="module")
def disk() -> Iterator[Disk]:
    with mounted_disk(DISK) as disk:
        yield disk


@pytest.fixture(scope="module")
def stage(
    disk: Disk,
    server: Postgresql,
    bundled_reflex_layer: str,
    tmp_path_factory: pytest.TempPathFactory,
    form: Form,
) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("service")
    metrics = disk.folder / "metrics"
    metrics.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROMETHEUS_MULTIPROC_DIR", str(metrics))
        with stage_on(server, bundled_reflex_layer, folder, form) as stage:
            yield stage


def test_full_metrics_folder(stage: Stage, disk: Disk, judge: Judge) -> None:
    seconds = stage.form.fault_seconds

    def fault(load: Load) -> None:
        disk.fill()
        # The new worker needs new files.
        stage.service.workers[0].kill()
        load.go_on(seconds)
        disk.make_room()
        assert "SIGBUS" not in stage.service.log.read_text()

    done = f"`kill -9` of a worker, and no room in the metrics folder for {seconds:g} s"
    judge("Full metrics folder", observe(stage, fault, done=done, kills_workers=True))
