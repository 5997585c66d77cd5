"""`mpbake certs`: make the certificates of nodes and clients, and show until when they are valid."""

from __future__ import annotations

import os
import shlex
import stat
from functools import partial
from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError, UsageError, most_severe
from mpbake.base.text import columns, one_line
from mpbake.certs.authority import make_authority
from mpbake.certs.finding import AUTHORITY_HINT
from mpbake.certs.inventory import inventory
from mpbake.certs.issuing import IssueAction, IssueOrder, carry_out, decide, open_authority
from mpbake.certs.node_files import CertificateRole, key_beside, wanted_authorities, wanted_certificates
from mpbake.certs.reading import end_text, ends_soon
from mpbake.certs.store import create_pair, keep_out_of_git, locked, make_folder
from mpbake.cli.definitions.certificates import AUTHORITY_DAYS, ISSUED_DAYS
from mpbake.cli.folder import folder_of
from mpbake.cli.loading import load_plan, shown_path
from mpbake.cli.named_builders import named_builders
from mpbake.cli.runs.repeat_command import plan_words
from mpbake.report.formats import CERTIFICATE_FORMATS
from mpbake.resolve.git import GitRepository, has_repository
from mpbake.resolve.template.filters import FilterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from mpbake.certs.authority import Authority
    from mpbake.certs.issuing import Decision
    from mpbake.certs.node_files import WantedCertificate
    from mpbake.cli.options import CertsOptions
    from mpbake.cli.world import World
    from mpbake.model.plan import Builder, Node, Plan

_NO_AUTHORITY = "the plan names no certificate authority"
_NOTHING_TO_ISSUE = "the plan names no certificate that this authority could sign"
_TLS_HINT = 'set tls = { ca = "certs/ca.pem", cert = "certs/client.pem", key = "certs/client-key.pem" } on a node'


def main(options: CertsOptions, world: World) -> int:
    """Apply the action to the nodes of the named builders; without names, to all nodes."""
    _, plan = load_plan(options.source, world)
    chosen = named_builders(plan, options.names)
    match options.action:
        case "init":
            return _init(plan, _nodes(chosen), options, world)
        case "issue":
            return _issue(plan, _nodes(chosen), options, world)
        case _:
            return _show(_nodes(chosen), options, world)


def _nodes(builders: Iterable[Builder]) -> list[Node]:
    return [node for builder in builders if not builder.external for node in builder.nodes]


def _show(nodes: Sequence[Node], options: CertsOptions, world: World) -> int:
    text_of = CERTIFICATE_FORMATS[options.format].load()
    world.stdout.write(text_of(inventory(nodes, world.now()), _shown(world)))
    return 0


# --- init -------------------------------------------------------------------------------------------------------------


def _init(plan: Plan, nodes: Sequence[Node], options: CertsOptions, world: World) -> int:
    """Make every authority that the plan names for `nodes`. If a file of any authority exists, make no authority."""
    keys = _authority_keys(wanted_authorities(nodes), options, world)
    show = _shown(world)
    now, days = world.now(), options.days or AUTHORITY_DAYS
    with locked(plan.root):
        _check_free(keys, options, show)
        ignored = _keep_out_of_git(plan, keys.values(), world)
        for path, key in keys.items():
            create_pair(make_authority(f"mpbake authority of {plan.root.name}", now, days), path, key)
    for path, key in keys.items():
        world.stdout.write(f"wrote {show(path)}: a certificate authority, valid for {days} days\n")
        world.stdout.write(f"wrote {show(key)}: its key; whoever has this file can use every node\n")
    world.stdout.writelines(ignored)
    world.stdout.write(f"next: {_command('certs issue', options, ca_key=options.ca_key)}\n")
    return 0


def _authority_keys(authorities: Sequence[Path], options: CertsOptions, world: World) -> dict[Path, Path]:
    """Return the path of the key for each authority. Raises UsageError."""
    if not authorities:
        raise UsageError(_NO_AUTHORITY, hint=_TLS_HINT)
    if not options.ca_key:
        return {path: key_beside(path) for path in authorities}
    if len(authorities) > 1:
        listed = ", ".join(map(_shown(world), authorities))
        message = f"--ca-key names one key, but the plan names {len(authorities)} authorities: {listed}"
        raise UsageError(message, hint="name the builders of one authority")
    key = folder_of(options.source.directory, world) / options.ca_key
    if key.resolve() == authorities[0].resolve():
        raise UsageError("--ca-key names the certificate of the authority", hint="name the file of its key")
    return {authorities[0]: key}


def _check_free(keys: Mapping[Path, Path], options: CertsOptions, show: Callable[[Path], str]) -> None:
    """Raise UsageError if the certificate or the key of an authority exists. `keys` maps certificates to keys."""
    paths = [path for pair in keys.items() for path in pair]
    existing = [path for path in paths if os.path.lexists(path)]
    for path, key in keys.items():
        if path in existing and key not in existing:
            hint = f"use it: {_command('certs issue', options)} --ca-key PATH; or move it and its certificates away"
            raise UsageError(f"{show(path)} exists already, but not its key {show(key)}", hint=hint)
        if key in existing and path not in existing:
            message = f"{show(key)} exists already, but not its certificate {show(path)}"
            raise UsageError(message, hint="copy the certificate to this place, or move the key away")
    if existing:
        names = ", ".join(map(show, existing))
        command = _command("certs issue", options, ca_key=options.ca_key)
        hint = f"use it: {command}; or move it and its certificates away"
        if len(existing) < len(paths) - 1:
            hint = f"{hint}; or name the builders whose authority is missing"
        verb = "exists" if len(existing) == 1 else "exist"
        raise UsageError(f"{names} {verb} already, and mpbake overwrites no authority", hint=hint)


# --- issue ------------------------------------------------------------------------------------------------------------


def _issue(plan: Plan, nodes: Sequence[Node], options: CertsOptions, world: World) -> int:
    """Issue certificates that are missing or expire soon.

    An error of one certificate does not prevent the issue of others.
    """
    chosen = {node.id for node in nodes}
    every = wanted_certificates(_nodes(plan.builders.values()))
    wanted = [certificate for certificate in every if chosen.intersection(certificate.nodes)]
    if not wanted and wanted_authorities(nodes):
        raise UsageError(_NOTHING_TO_ISSUE, hint=_TLS_HINT)
    authorities = tuple(dict.fromkeys(certificate.authority for certificate in wanted))
    keys = _authority_keys(authorities, options, world)
    show = _shown(world)
    order = IssueOrder(
        now=world.now(),
        days=options.days or ISSUED_DAYS,
        rekey=options.rekey,
        show=show,
        init_command=_command("certs init", options, ca_key=options.ca_key),
    )
    errors: list[MpbakeError] = []
    results: list[tuple[Decision, datetime]] = []
    with locked(plan.root):
        opened = _open_authorities(keys, order, errors)
        decisions = _decide(wanted, opened, order, errors)
        private = [*(decision.wanted.key for decision in decisions), *(keys[path] for path in opened)]
        ignored = _keep_out_of_git(plan, private, world)
        for decision in decisions:
            try:
                results.append((decision, carry_out(decision, opened[decision.wanted.authority], order)))
            except MpbakeError as error:
                errors.append(error)
    world.stdout.writelines(_report(results, order))
    world.stdout.writelines(ignored)
    if any(
        decision.action is not IssueAction.KEEP and decision.wanted.role is CertificateRole.SERVER
        for decision, _ in results
    ):
        world.stdout.write(f"next: {_command('builders up', options)}\n")
    world.stderr.writelines(f"warning: {warning}\n" for warning in _warnings(opened, keys, wanted, order))
    world.stderr.writelines(f"error: {error}\n" for error in errors)
    return most_severe({error.exit_code for error in errors})


def _open_authorities(keys: Mapping[Path, Path], order: IssueOrder, errors: list[MpbakeError]) -> dict[Path, Authority]:
    opened = {}
    for path, key in keys.items():
        try:
            opened[path] = open_authority(path, key, order)
        except UsageError as error:
            errors.append(error)
    return opened


def _decide(
    wanted: Iterable[WantedCertificate],
    authorities: Mapping[Path, Authority],
    order: IssueOrder,
    errors: list[MpbakeError],
) -> list[Decision]:
    decisions = []
    for certificate in wanted:
        if certificate.authority in authorities:
            try:
                decisions.append(decide(certificate, authorities[certificate.authority].certificate, order))
            except UsageError as error:
                errors.append(error)
    return decisions


def _report(results: Sequence[tuple[Decision, datetime]], order: IssueOrder) -> list[str]:
    """Return a line for each certificate, followed by a line with the reason if the certificate changes."""
    rows = [
        (
            str(decision.action),
            one_line(order.show(decision.wanted.certificate)),
            f"until {end:%Y-%m-%d}",
            _purpose(decision.wanted),
        )
        for decision, end in results
    ]
    reasons = [[f"  {decision.reason}"] if decision.reason else [] for decision, _ in results]
    return [f"{line}\n" for row, reason in zip(columns(rows), reasons, strict=True) for line in (row, *reason)]


def _purpose(wanted: WantedCertificate) -> str:
    return f"{wanted.role} {one_line(', '.join(wanted.hosts))}".rstrip()


def _warnings(
    opened: Mapping[Path, Authority],
    keys: Mapping[Path, Path],
    wanted: Sequence[WantedCertificate],
    order: IssueOrder,
) -> list[str]:
    """Return warnings about authorities that expire soon, and about authorities' keys that other users can read."""
    warnings = []
    for path, authority in opened.items():
        days = max(certificate.days for certificate in wanted if certificate.authority == path)
        if ends_soon(authority.certificate, order.now, days):
            end = end_text(authority.certificate, order.now)
            warnings.append(f"{order.show(path)} {end}, and so do its certificates\n  = {AUTHORITY_HINT}")
        mode = stat.S_IMODE(keys[path].stat().st_mode)
        if mode & 0o077:
            name = one_line(order.show(keys[path]))
            command = one_line(shlex.join(["chmod", "600", order.show(keys[path])]))
            warnings.append(f"other users of this machine can read the key {name}\n  = run: {command}")
    return warnings


# --- common -----------------------------------------------------------------------------------------------------------


def _shown(world: World) -> Callable[[Path], str]:
    return partial(shown_path, folder=world.folder)


def _command(name: str, options: CertsOptions, *, ca_key: str = "") -> str:
    """Return the command `mpbake NAME` for the same builders of the same plan."""
    words = [*plan_words(options.source), *(["--ca-key", ca_key] if ca_key else []), *options.names]
    return one_line(shlex.join(["mpbake", *name.split(), *words]))


def _keep_out_of_git(plan: Plan, keys: Iterable[Path], world: World) -> list[str]:
    """Add keys to `.gitignore` before mpbake writes the keys: in a repository, and in the folder of the plan.

    Return lines for the output.
    """
    by_folder: dict[Path, list[Path]] = {}
    for key in keys:
        by_folder.setdefault(key.parent, []).append(key)
    lines = []
    for folder, members in by_folder.items():
        make_folder(folder)
        is_written = _is_committed(plan, folder, members, world) and keep_out_of_git(folder, members)
        lines += [f"wrote {_shown(world)(folder / '.gitignore')}: git ignores the keys\n"] if is_written else []
    return lines


def _is_committed(plan: Plan, folder: Path, keys: Sequence[Path], world: World) -> bool:
    """Whether git does not ignore some of `keys`, now or if the plan's folder later becomes a repository."""
    real = folder.resolve()
    if not has_repository(real):
        return real.is_relative_to(plan.root.resolve())
    try:
        return bool(GitRepository(real, world.environment).unignored([key.name for key in keys]))
    except FilterError:
        return True
