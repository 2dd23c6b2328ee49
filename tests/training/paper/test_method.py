"""What decides the result of a training, and so whether it is known already."""

import pytest


def test_the_code_of_the_method_is_part_of_what_is_known() -> None:
    from dashfusion_training.paper import method

    def meaning(source: str) -> str:
        return method._meaning(source)

    plain = "def f(x):\n    return x + 1\n"
    assert meaning('def f(x):\n    """Add."""\n\n    return x + 1  # one\n') == meaning(plain)
    assert meaning("def f(x):\n    return x + 2\n") != meaning(plain)
    assert len(method.method_digest()) == 64
    # What datasets.py and step.py take from the package is code of the method too.
    assert {"texts.py", "encoded_texts.py"} <= set(method._DECIDES["dashfusion_training"])


@pytest.mark.parametrize(
    ("unread", "reading"),
    [
        ({"huber_delta": 0.1}, {"loss": "huber"}),
        ({"context_dropout": 0.3}, {"context_tokens": 8}),
        ({"lent_share": 0.9}, {"compose": 0.5}),
    ],
)
def test_a_setting_that_nothing_reads_makes_no_other_trial(
    unread: dict[str, object], reading: dict[str, object]
) -> None:
    from dashfusion_training.config import TrainConfig, changed
    from dashfusion_training.paper.trials import canonical

    plain, read = TrainConfig(), changed(TrainConfig(), reading)
    assert canonical(changed(plain, unread)) == canonical(plain)
    assert canonical(changed(read, unread)) != canonical(read)
