"""The command reference says what the commands say."""

from tests.tools.command_reference import TARGET, commands, reference


def test_the_reference_is_current() -> None:
    advice = "run: python -m tests.tools.command_reference"
    assert TARGET.read_text("utf-8") == reference(), advice


def test_every_command_and_every_option_is_in_it() -> None:
    from typer.main import get_command

    from dashfusion_cli.app import app

    text = reference()
    tree = [("dashfusion", get_command(app))]
    seen = 0
    while tree:
        name, command = tree.pop()
        below = getattr(command, "commands", {})
        tree += [(f"{name} {word}", one) for word, one in below.items()]
        if not below:
            section = text.split(f"\n## {name}\n", 1)[1].split("\n## ", 1)[0]
            for parameter in command.params:
                if parameter.name != "help" and hasattr(parameter, "is_flag"):
                    assert all(option in section for option in parameter.opts), parameter.opts
                    seen += 1
    assert seen > 100


def test_every_command_has_examples_of_itself() -> None:
    for command in commands():
        assert command.examples, command.name
        assert all(line.startswith(command.name) for line in command.examples), command.name
