"""A config that is as it should be, from the first check to the exit code."""

import json
import os
import subprocess
import sys


def test_nothing_is_found(ward):
    assert ward.found() == []
