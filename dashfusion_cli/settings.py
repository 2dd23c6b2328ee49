"""Settings: flag > environment > settings file > built in.

Every option made with `setting` can stand in the environment (`DASHFUSION_` and the option in
capitals) and in `dashfusion.toml` (the option's name). The file serves all commands: a key that
this command does not have, but another one has, is passed over; a key that none has is an error.
"""

from pathlib import Path
from typing import Any

import typer

from dashfusion_cli.groups import group_of
from dashfusion_cli.session import session_of
from dashfusion_models.bounded_file import read_toml
from dashfusion_models.errors import ConfigError
from dashfusion_models.near import hinted

__all__ = ["ENVIRONMENT_PREFIX", "load_settings", "setting"]

ENVIRONMENT_PREFIX = "DASHFUSION_"
_FILE = "dashfusion.toml"


def setting(*names: str, **keywords: Any) -> Any:
    """Make a Typer option that also reads the environment; `names[0]` is the long name."""
    variable = ENVIRONMENT_PREFIX + names[0].lstrip("-").replace("-", "_").upper()
    keywords.setdefault("show_envvar", False)
    keywords.setdefault("rich_help_panel", group_of(names[0]))
    return typer.Option(*names, envvar=variable, **keywords)


def load_settings(context: typer.Context, named: Path | None) -> Path | None:
    """Read the settings file, as the eager callback of --config.

    Raises:
        ConfigError: the file is missing though named, is no TOML, or has an unknown key.
    """
    if context.resilient_parsing:
        return named
    file = named or _usual_file()
    if named is None and not file.is_file():
        return None
    known = _known_keys(context.find_root().command)
    values = {_parameter(key): value for key, value in _read(file).items()}
    for key, value in values.items():
        if key not in known:
            way_out = hinted(_option(key), map(_option, known))
            raise ConfigError(f"{file}: no setting {_option(key)}; {way_out}")
        if isinstance(value, dict):
            raise ConfigError(f"{file}: {_option(key)} is a table; write `{_option(key)} = value`")
    context.default_map = {**(context.default_map or {}), **values}
    session_of(context).settings_file = file
    return named


def _usual_file() -> Path:
    import platformdirs

    return Path(platformdirs.user_config_dir("dashfusion", appauthor=False)) / _FILE


def _read(file: Path) -> dict[str, Any]:
    try:
        return read_toml(file)
    except OSError as error:
        raise ConfigError(
            f"{file}: cannot be read ({error.strerror}); give --config a file that exists"
        ) from error
    except ValueError as error:
        raise ConfigError(f"{file}: no valid TOML ({error}); correct that place") from error


def _known_keys(command: Any) -> set[str]:
    """Return the names of all settings of a command and the commands below it."""
    known = {
        parameter.name
        for parameter in command.params
        if str(getattr(parameter, "envvar", None) or "").startswith(ENVIRONMENT_PREFIX)
        and parameter.name != "config"  # a settings file does not name another
    }
    for below in getattr(command, "commands", {}).values():
        known |= _known_keys(below)
    return known


def _parameter(key: str) -> str:
    return key.replace("-", "_")


def _option(name: str) -> str:
    return name.replace("_", "-")
