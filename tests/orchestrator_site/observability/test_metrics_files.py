"""The service keeps working, and reports it, if the metrics disk is full, read-only or gone."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator_site.observability.metrics_files import MetricsFile
from tests.conftest import StartService
from tests.disk import Disk, mounted_disk
from tests.service import ANSWER_SECONDS, Service

# Both are in the files of the processes.
SUBMISSIONS = "octollm_orchestrator_unscreened_submissions_total"
ANSWERED = 'octollm_orchestrator_api_requests_total{endpoint="/submit",method="POST",status="200"}'
# PostgreSQL has these.
PENDING = 'octollm_orchestrator_tasks_total{status="pending"}'
COMPLETE = "octollm_orchestrator_metrics_complete"
# Room for the files of the master and a worker.
SIZE = "1m"


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    with mounted_disk(SIZE) as disk:
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(disk.folder / "metrics"))
        yield disk


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "metrics"
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(folder))
    return folder


def start(start_service: StartService) -> Service:
    service = start_service(ENABLE_REFLEX_INTEGRATION=False, WORKERS=1)
    assert service.submit().status_code == 200
    return service


def start_another_worker(service: Service) -> int:
    """Kill the worker; return the process id of its replacement."""
    service.workers[0].kill()
    assert service.submit().status_code == 200
    return service.workers[0].pid


def wait_until_complete(service: Service) -> None:
    give_up_at = time.monotonic() + ANSWER_SECONDS
    while service.metrics()[COMPLETE] == 0:
        assert time.monotonic() < give_up_at
        # The worker only retries when it counts something.
        service.submit()


def stored(path: Path) -> dict[str, float]:
    return {key: value for key, value, *_ in MetricsFile.read_all_values_from_file(str(path))}


def warnings(service: Service) -> list[str]:
    return [line["reason"] for line in service.log_lines() if "Metrics cannot" in line["message"]]


def test_counts_are_complete(start_service: StartService, folder: Path) -> None:
    service = start(start_service)
    metrics = service.metrics()
    assert (metrics[COMPLETE], metrics[SUBMISSIONS], metrics[ANSWERED]) == (1, 1, 1)
    assert warnings(service) == []


def test_full_disk_kills_no_worker_and_costs_no_count(
    start_service: StartService, disk: Disk
) -> None:
    service = start(start_service)
    disk.fill()
    pid = start_another_worker(service)
    assert [service.submit().status_code for _ in range(5)] == [200] * 5
    assert service.get("/health").status_code == 200
    assert service.metrics()[COMPLETE] == 0
    assert [worker.pid for worker in service.workers] == [pid]
    assert warnings(service) == ["No space left on device"]

    disk.make_room()
    wait_until_complete(service)
    metrics = service.metrics()
    assert metrics[SUBMISSIONS] == metrics[ANSWERED] > 6
    assert [worker.pid for worker in service.workers] == [pid]


def test_counts_wait_while_their_file_cannot_grow(disk: Disk) -> None:
    path = disk.folder / "counter_1.db"
    file = MetricsFile(str(path))
    counts = {f"key {number}": float(number) for number in range(3000)}
    disk.fill()
    for key, count in counts.items():
        assert file.read_value(key) == (0, 0)
        file.write_value(key, count, 0)
    assert 0 < len(stored(path)) < len(counts)
    assert file.read_value("key 2999") == (2999, 0)
    assert not MetricsFile.are_complete()

    disk.make_room()
    give_up_at = time.monotonic() + ANSWER_SECONDS
    while not MetricsFile.are_complete():
        assert time.monotonic() < give_up_at
        file.write_value("key 0", 0, 0)
    assert stored(path) == counts
    file.close()


def test_service_starts_and_works_with_a_read_only_folder(
    start_service: StartService, disk: Disk
) -> None:
    disk.remount("ro")
    service = start(start_service)
    start_another_worker(service)
    metrics = service.metrics()
    assert metrics[COMPLETE] == 0
    assert SUBMISSIONS not in metrics
    assert ANSWERED not in metrics
    # What PostgreSQL counts is complete.
    assert metrics[PENDING] >= 2
    assert metrics['octollm_orchestrator_tasks_by_status{status="pending"}'] >= 2
    assert warnings(service)[0] == "Read-only file system"
    service.stop()
    assert "ERROR" not in {
        line["level"] for line in service.log_lines() if "gunicorn" not in line["logger"]
    }
    disk.remount("rw")


def test_deleted_folder_is_recreated_with_all_counts(
    start_service: StartService, folder: Path
) -> None:
    service = start(start_service)
    shutil.rmtree(folder)
    [pid] = [worker.pid for worker in service.workers]
    assert service.submit().status_code == 200
    wait_until_complete(service)
    metrics = service.metrics()
    assert metrics[SUBMISSIONS] == metrics[ANSWERED] >= 2
    assert [worker.pid for worker in service.workers] == [pid]
    assert warnings(service) == ["it was deleted"]


def test_service_works_with_a_file_in_place_of_the_folder(
    start_service: StartService, folder: Path
) -> None:
    folder.write_text("")
    service = start(start_service)
    assert service.get("/metrics").status_code == 200
    assert service.metrics()[COMPLETE] == 0
    start_another_worker(service)
    folder.unlink()
    wait_until_complete(service)
