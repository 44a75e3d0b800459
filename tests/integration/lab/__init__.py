# SPDX-License-Identifier: BSD-2-Clause
"""A mail server in a temporary folder: nsd, Postfix and assayd on loopback.

Shared by tests/integration and by the demonstration (../../demo). Everything runs from one folder,
on ports that were free when it started, with its own configuration and queue; the system's own
Postfix and nsd, if any, are not touched. Whatever way the program ends, Lab.close() stops what was
started, by process id, and removes the folder.
"""
