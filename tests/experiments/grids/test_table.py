"""What the table of a grid promises: means, doubt, claims, and no holes."""

import json
import pathlib

import pytest

from st_keras.config.grid import load_grid
from st_keras.experiments.grids import jobs, table


class TestTable:
    """Of results that are made up."""

    GRID = """
title: Made up
config: student.yaml
seeds: [0, 1, 2]
reference: student
axes: {labels: {20: [], 100: []}}
arms: {alone: {kind: supervised}, student: {}}
published: {20/alone: 30.7}
source: table 0
"""
    CLAIMS = """
claims:
  A student is better: {20/student: 1, 20/alone: -1}
  Better with few labels than with many:
    {20/student: 1, 20/alone: -1, 100/student: -1, 100/alone: 1}
  It is worse with many: {100/alone: 1, 100/student: -1}
  It is worse with few: {20/alone: 1, 20/student: -1}
"""
    VALUES = {
        "20/alone": [30.0, 31.0, 35.0],
        "20/student": [33.0, 35.0, 37.0],
        "100/alone": [44.0, 45.0, 46.0],
        "100/student": [45.0, 46.0, 47.0],
    }

    @pytest.fixture
    def made_up(self, tmp_path, student_yaml):
        path = tmp_path / "made_up.yaml"
        path.write_text((self.GRID + self.CLAIMS).replace("student.yaml", student_yaml))
        of_all = jobs.of_grid(str(path), str(tmp_path / "w"), cells=[], seeds=[])
        for job in of_all:
            arm = job.cell.split("/")[1]
            result = {
                "headline": "AP",
                "settings_sha256": jobs.settings_digest(job),
                "metrics": {"AP": self.VALUES[job.cell][job.seed]},
                "steps": 10,
                "stages": [],
                "total": {"multiply_adds": 300 if arm == "student" else 120},
                "protocol": {"records": "r", "checkpoint": "gone", "role": arm},
            }
            file = jobs.result_path(job)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(result))
        return str(path), tmp_path, of_all

    def test_it_has_means_spread_gains_and_doubt(self, made_up):
        path, _, of_all = made_up
        cells = table.collect(load_grid(path), of_all)["cells"]
        # Of 30, 31, 35: 32, and squares 4 + 1 + 9 over 2: sqrt(7).
        assert (cells["20/alone"]["mean"], cells["20/alone"]["sd"]) == (32.0, 2.6458)
        # -3, -4, -2: mean -3, sd 1; t = -3 sqrt(3) = -5.196 with 2 degrees: p 0.0351.
        assert cells["20/alone"]["gain"] == {"mean": -3.0, "sd": 1.0, "p": 0.035}
        # All differences are -1: no spread, and nothing to divide by.
        assert cells["100/alone"]["gain"] == {"mean": -1.0, "sd": 0.0, "p": None}
        assert "gain" not in cells["20/student"]
        assert cells["20/alone"]["published"] == 30.7

    def test_its_protocol_is_what_all_cells_have_in_common(self, made_up):
        path, _, of_all = made_up
        # Roles differ, and a checkpoint is of one run, even if none names another.
        assert table.collect(load_grid(path), of_all)["protocol"] == {"records": "r"}

    def test_a_claim_holds_if_the_sum_of_its_cells_is_above_0_beyond_chance(
        self, made_up
    ):
        path, _, of_all = made_up
        claims = table.collect(load_grid(path), of_all)["claims"]
        better, few, worse, opposite = claims.values()
        # The gain above, the other way round.
        assert better == {
            **{"values": [3.0, 4.0, 2.0], "mean": 3.0, "sd": 1.0},
            **{"p": pytest.approx(0.0351, abs=1e-4), "holds": True},
        }
        # 3, 4, 2 less 1: mean 2, sd 1, t = 2 sqrt(3) = 3.464 with 2 degrees: p 0.074.
        assert (few["values"], few["holds"]) == ([2, 3, 1], False)
        assert few["p"] == pytest.approx(0.0742, abs=1e-4)
        assert (worse["mean"], worse["holds"]) == (-1.0, False)
        # Beyond chance, but the other way.
        assert (opposite["mean"], opposite["holds"]) == (-3.0, False)
        assert opposite["p"] == better["p"]

    def test_p_of_several_claims_together_is_holms_by_pencil(self):
        # Five were tested. In order: 5 x 0.01, 4 x 0.02 = 0.08, 3 x 0.02 = 0.06 but
        # not less than the one before, 2 x 0.9 but not more than 1.
        p_of = {"b": 0.02, "d": 0.9, "a": 0.01, "c": 0.02, "unknown": None}
        found = table._holm(p_of)
        expected = {"a": 0.05, "b": 0.08, "c": 0.08, "d": 1.0}
        assert found.pop("unknown") is None
        assert found == pytest.approx(expected)

    def test_a_claim_is_judged_by_what_was_found_and_not_by_what_is_shown(self):
        # Mean 1, sd 0.4025: t = 1 / (0.4025 / sqrt(3)) = 4.3031, just above the 4.3027
        # of 2 degrees at 0.05. Shown, p is 0.05.
        values = [1.0 - 0.4025, 1.0, 1.0 + 0.4025]
        results = {("a", seed): {"metrics": {"AP": values[seed]}} for seed in range(3)}
        found = table._claim({"a": 1.0}, results, "AP", range(3))
        assert 0.0499 < found["p"] < 0.05 and found["holds"]

    def test_what_rounding_makes_of_equal_gains_is_no_spread(self):
        # 0.3 - 0.1 and 0.2 - 0.0 differ in the last digit.
        found = table.paired([0.3, 0.2, 0.2], [0.1, 0.0, 0.0])
        assert found == {"mean": 0.2, "sd": 0.0, "p": None}

    def test_seeds_that_are_asked_for_are_those_of_the_table(self, made_up):
        path, folder, _ = made_up
        lines = self.write(path, folder, seeds=[2, 0])
        assert "| alone | 32.5 (3.5), paper 30.7 | 45.0 (1.4) |" in lines
        assert any("t-test with 2 seeds" in line for line in lines)
        lines = self.write(path, folder, seeds=[1])
        assert "| alone | 31.0, paper 30.7 | 45.0 |" in lines
        assert "Gains are over `student`, seed by seed." in lines
        with pytest.raises(ValueError, match="the first 20/alone seed 3"):
            self.write(path, folder, seeds=[3])

    def write(self, path, folder, seeds=()):
        """Returns the lines of the page; it and its figure are on the disk."""
        output = str(folder / "out")
        where = (str(folder / "w"), output)
        text = table.write(path, *where, "make it", seeds=seeds)
        assert pathlib.Path(f"{output}.md").read_text() == text
        assert pathlib.Path(f"{output}.png").read_bytes()[1:4] == b"PNG"
        return text.splitlines()

    def test_the_page_has_both_tables_and_the_figure_is_there(self, made_up):
        path, folder, _ = made_up
        lines = self.write(path, folder)
        assert "|  | labels 20 | labels 100 |" in lines
        assert "| alone | 32.0 (2.6), paper 30.7 | 45.0 (1.0) |" in lines
        row = "| 20/student | 35.0 (2.0) | 10 | 2.50 |  |  | 33.0 | 35.0 | 37.0 |"
        assert row in lines
        assert "Made by `make it`." in lines
        cells = "+1 20/student -1 20/alone"
        # Four claims, p of 0.0351, 0.0351, 0.0742 and none: four times the least.
        row = f"| A student is better | {cells} | +3.0 (1.0) | 0.035 | 0.14 | yes |"
        assert row in lines
        assert any(
            line.startswith("| It is worse with few") and "no, the other way" in line
            for line in lines
        )
        assert json.loads(pathlib.Path(f"{folder}/out.json").read_text())["cells"]

    def test_a_cell_that_is_left_out_is_a_gap(self, made_up):
        path, folder, _ = made_up
        grid_file = pathlib.Path(path)
        claim = "only_claims: true\nclaims: {It is good: {20/alone: 1, 100/student: 1}}"
        text = grid_file.read_text()
        text = text[: text.index("published:")] + claim
        grid_file.write_text(text)
        lines = self.write(path, folder)
        assert "| alone | 32.0 (2.6) |  |" in lines
        assert "| student |  | 46.0 (1.0) |" in lines
        # Its reference, 100/alone, is none; nor is it compared.
        row = "| 100/student | 46.0 (1.0) | 10 | 2.50 |  |  | 45.0 | 46.0 | 47.0 |"
        assert row in lines

    def test_a_cell_without_a_run_is_no_table(self, made_up):
        path, folder, of_all = made_up
        jobs.result_path(of_all[2]).unlink()
        with pytest.raises(
            ValueError, match=r"1 of 12 runs .* the first 100/alone see"
        ):
            table.write(path, str(folder / "w"), str(folder / "out"), "make it")
