"""Stages add up what they took, and what of it was waiting, from several threads."""

import threading
import time

import pytest

from dashfusion_models.stages import Stages


def test_waiting_is_a_part_of_what_a_stage_took() -> None:
    stages = Stages()
    with stages.stage("vision"):
        time.sleep(0.02)
        for _ in range(2):
            with stages.waiting("vision"):
                time.sleep(0.02)
    assert stages.waited_s["vision"] >= 0.04
    assert stages.spent_s["vision"] >= stages.waited_s["vision"] + 0.02


def test_several_threads_count_to_one_stage_even_if_they_fail() -> None:
    stages = Stages()

    def work() -> None:
        with pytest.raises(ValueError), stages.stage("audio"):
            time.sleep(0.01)
            raise ValueError

    threads = [threading.Thread(target=work) for _ in range(5)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert stages.spent_s["audio"] >= 0.05 and stages.waited_s == {}
