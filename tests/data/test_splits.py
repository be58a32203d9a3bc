"""What files of image ids promise."""

import numpy as np
import pytest

from st_keras.data import dataset_info, images, record_labels, records, splits

# 40 pictures: label 1 in all, 2 in every fourth, 3 only in p07.
LABELS = {f"p{i:02d}": {1} | ({2} if i % 4 == 0 else set()) for i in range(40)}
LABELS["p07"] = {1, 3}


class TestIdFiles:
    def test_what_is_written_is_read_in_its_order(self, tmp_path):
        ids = ["b", "a b", "ü/c", "#1"]
        splits.write_ids(tmp_path / "deep" / "ids.txt", ids, "a note")
        assert splits.read_ids(tmp_path / "deep" / "ids.txt") == ids

    def test_the_first_line_tells_digest_and_count(self, tmp_path):
        splits.write_ids(tmp_path / "ids.txt", ["b", "a"], "of a test")
        first = (tmp_path / "ids.txt").read_text().splitlines()[0]
        digest = splits.ids_digest(["a", "b"])
        assert first == f"# sha256:{digest} images:2 of a test"

    def test_an_edited_file_is_refused_with_a_way_out(self, tmp_path):
        path = tmp_path / "ids.txt"
        splits.write_ids(path, ["a", "b"])
        path.write_text(path.read_text() + "c\n")
        with pytest.raises(ValueError, match=r"2 ids.*got 3 ids.*delete the first"):
            splits.read_ids(path)

    def test_a_plain_list_needs_no_header(self, tmp_path):
        path = tmp_path / "ids.txt"
        path.write_bytes("\ufeffa\r\n# a comment\r\n\r\n b \r\n".encode())
        assert splits.read_ids(path) == ["a", "b"]

    def test_an_empty_set_survives(self, tmp_path):
        splits.write_ids(tmp_path / "rest.txt", [])
        assert splits.read_ids(tmp_path / "rest.txt") == []

    @pytest.mark.parametrize(
        "content, message",
        [
            ("", "holds no image id"),
            ("# a comment\n", "holds no image id"),
            ("a\nb\na\n", "1 ids are there twice: a"),
        ],
    )
    def test_a_useless_file_is_refused(self, tmp_path, content, message):
        (tmp_path / "ids.txt").write_text(content)
        with pytest.raises(ValueError, match=message):
            splits.read_ids(tmp_path / "ids.txt")

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(ValueError, match=r"none\.txt: no such file"):
            splits.read_ids(tmp_path / "none.txt")

    def test_a_binary_file_is_refused(self, tmp_path):
        (tmp_path / "ids.txt").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ValueError, match="not UTF-8"):
            splits.read_ids(tmp_path / "ids.txt")

    @pytest.mark.parametrize("image_id", ["", " a", "a\n", "a\u2028b", "# a"])
    def test_an_id_that_is_no_line_is_not_written(self, tmp_path, image_id):
        with pytest.raises(ValueError, match="cannot hold the image id"):
            splits.write_ids(tmp_path / "ids.txt", ["good", image_id])
        assert not (tmp_path / "ids.txt").exists()

    def test_the_digest_is_of_the_set(self):
        assert splits.ids_digest(["a", "b"]) == splits.ids_digest(["b", "a"])
        assert splits.ids_digest(["a", "b"]) != splits.ids_digest(["ab"])
        assert len(splits.ids_digest([])) == 12


class TestCheckDisjoint:
    def test_sets_without_overlap_pass(self):
        splits.check_disjoint({"human": ["a"], "unlabeled": ["b"], "evaluation": []})

    def test_an_overlap_names_both_sets_the_count_and_the_first_few(self):
        sets = {"human": list("abcde"), "unlabeled": ["x"], "evaluation": list("edcbq")}
        with pytest.raises(
            ValueError,
            match=r"`human` and `evaluation`.* 4 of 5 and 5: b, c, d, \.\.\.",
        ):
            splits.check_disjoint(sets)

    def test_digests_can_be_shown_by_name(self):
        with pytest.raises(ValueError, match=r"1 of 1 and 1: photo_7\."):
            splits.check_disjoint({"a": ["f00"], "b": ["f00"]}, {"f00": "photo_7"})


class TestDraw:
    def test_sets_have_the_size_asked_for_and_no_repeats(self):
        for ids, count in zip(
            splits.sample(LABELS, [3, 11, 40]), [3, 11, 40], strict=True
        ):
            assert len(ids) == len(set(ids)) == count

    def test_nested_sets_begin_alike(self):
        large, small = splits.sample(LABELS, [20, 5], seed=3)
        assert large[:5] == small

    def test_the_seed_decides_and_the_order_of_records_does_not(self):
        backwards = dict(reversed(LABELS.items()))
        assert splits.sample(LABELS, [9], seed=1) == splits.sample(
            backwards, [9], seed=1
        )
        assert splits.sample(LABELS, [9], seed=1) != splits.sample(LABELS, [9], seed=2)

    @pytest.mark.parametrize("seed", range(5))
    def test_every_class_is_in_every_set(self, seed):
        for ids in splits.sample(LABELS, [2, 4, 30], seed=seed, ensure_classes=True):
            assert set().union(*(LABELS[i] for i in ids)) == {1, 2, 3}

    def test_ensuring_classes_changes_nothing_where_they_are_there_anyway(self):
        plain = splits.sample(LABELS, [40], seed=1)
        assert splits.sample(LABELS, [40], seed=1, ensure_classes=True) == plain

    def test_too_few_pictures_for_all_classes_are_refused(self):
        with pytest.raises(ValueError, match=r"1 of 40 .* takes about 2"):
            splits.sample(LABELS, [1, 20], ensure_classes=True)

    @pytest.mark.parametrize("count", [0, 41])
    def test_a_count_out_of_range_is_refused(self, count):
        with pytest.raises(ValueError, match=f"from 1 to 40.* got {count}"):
            splits.sample(LABELS, [count])


class TestSplit:
    """`split` on records of 30 pictures, one class in 29, another in one."""

    @pytest.fixture
    def pattern(self, folder):
        from st_keras.data.sources.yolo import YoloSource

        folder.write("classes.txt", "cat\ndog\n")
        for i in range(30):
            folder.picture(f"images/{i:02d}.png", 4, 6 + i)  # No two are alike.
            folder.write(f"labels/{i:02d}.txt", f"{int(i == 9)} 0.5 0.5 0.5 0.5\n")
        folder.convert(YoloSource(folder.root), num_shards=3)
        return str(folder.output / "train" / "*.tfrecord")

    def test_fractions_are_exact_nested_and_have_complements(self, pattern, tmp_path):
        splits.split(pattern, tmp_path, [0.5, 10, 25], seed=4)
        drawn = {
            f: splits.read_ids(tmp_path / f"fraction_{f}_seed4.txt")
            for f in ("0.5", "10", "25")
        }
        # 0.15 of a picture is one; 7.5 are 8.
        assert [len(ids) for ids in drawn.values()] == [1, 3, 8]
        assert set(drawn["0.5"]) < set(drawn["10"]) < set(drawn["25"])
        rest = splits.read_ids(tmp_path / "fraction_10_seed4_rest.txt")
        assert len(rest) == 27
        assert not set(rest) & set(drawn["10"])

    def test_the_table_counts_pictures_with_each_class(self, pattern, tmp_path):
        table = splits.split(pattern, tmp_path, [10, 100], ensure_classes=True)
        rows = [line.split() for line in table.splitlines()]
        assert rows == [
            ["all", "10", "%", "100", "%"],
            ["pictures", "30", "3", "30"],
            ["with", "cat", "29", "2", "29"],
            ["with", "dog", "1", "1", "1"],
        ]

    @pytest.mark.parametrize("fraction", [0, -1, 101])
    def test_a_fraction_out_of_range_is_refused(self, pattern, tmp_path, fraction):
        with pytest.raises(ValueError, match=rf"in \(0, 100\], got {fraction}"):
            splits.split(pattern, tmp_path, [fraction])

    @pytest.mark.parametrize("ensure_classes", [False, True])
    def test_no_fraction_is_refused(self, pattern, tmp_path, ensure_classes):
        with pytest.raises(ValueError, match="`fractions` must have a number"):
            splits.split(pattern, tmp_path, [], ensure_classes=ensure_classes)

    def test_of_partly_labelled_pictures_those_with_a_label_are_drawn(
        self, folder, tmp_path
    ):
        from st_keras.data.sources.yolo import YoloSource

        folder.write("classes.txt", "cat\n")
        for i in range(10):
            folder.picture(f"images/{i}.png", 4, 6 + i)
            if i % 3 == 1:
                folder.write(f"labels/{i}.txt", "0 0.5 0.5 0.5 0.5\n")
        folder.convert(YoloSource(folder.root))
        pattern = str(folder.output / "train" / "*.tfrecord")
        splits.split(pattern, tmp_path, [67, 100], only_labeled=True)
        labeled = {f"images/{i}" for i in (1, 4, 7)}
        every = set(splits.read_ids(tmp_path / "fraction_100_seed0.txt"))
        some = set(splits.read_ids(tmp_path / "fraction_67_seed0.txt"))
        assert every == labeled
        assert some < labeled and len(some) == 2
        rest = set(splits.read_ids(tmp_path / "fraction_100_seed0_rest.txt"))
        assert rest == {f"images/{i}" for i in range(10)} - labeled

    def test_the_background_of_coco_is_no_label_that_a_person_gave(
        self, folder, tmp_path
    ):
        from st_keras.data.sources.coco_segmentation import CocoSegmentationSource

        size = {"height": 4, "width": 6}
        shape = {"category_id": 2, "segmentation": [[0, 0, 3, 0, 3, 2]]}
        content = {
            "images": [{"id": i, "file_name": f"{i}.png", **size} for i in range(7)],
            # Of picture 5, only a crowd is known.
            "annotations": [
                {"id": i, "image_id": i, "iscrowd": i == 5, **shape} for i in (2, 4, 5)
            ],
            "categories": [{"id": 2, "name": "cat"}],
        }
        for i in range(7):
            folder.write(f"{i}.png", images.encode_png(np.full([4, 6], i, np.uint8)))
        path = folder.write("train.json", content)
        folder.convert(CocoSegmentationSource(folder.root, path))
        pattern = str(folder.output / "train" / "*.tfrecord")
        splits.split(pattern, tmp_path, [100], only_labeled=True)
        assert set(splits.read_ids(tmp_path / "fraction_100_seed0.txt")) == {"2", "4"}
        rest = splits.read_ids(tmp_path / "fraction_100_seed0_rest.txt")
        assert rest == ["0", "1", "3", "5", "6"]

    def test_a_copy_of_a_drawn_picture_is_not_among_the_rest(self, folder, tmp_path):
        from st_keras.data.sources.yolo import YoloSource

        folder.write("classes.txt", "cat\n")
        for i in range(10):  # Each is there twice.
            for name in (f"a{i}", f"b{i}"):
                folder.picture(f"images/{name}.png", 4, 6 + i)
                folder.write(f"labels/{name}.txt", "0 0.5 0.5 0.5 0.5\n")
        folder.convert(YoloSource(folder.root))
        pattern = str(folder.output / "train" / "*.tfrecord")
        told = splits.split(pattern, tmp_path, [20])
        drawn = splits.read_ids(tmp_path / "fraction_20_seed0.txt")
        rest = splits.read_ids(tmp_path / "fraction_20_seed0_rest.txt")
        numbers = {image_id[-1] for image_id in drawn}
        # Two copies of each number that was not drawn.
        assert len(drawn) == 4 and len(rest) == 2 * (10 - len(numbers))
        assert not numbers & {image_id[-1] for image_id in rest}
        copies = 2 * len(numbers) - len(drawn)
        assert f"{copies} copies of the 20 %: not among the rest" in told

    def test_pictures_of_other_records_may_count_as_absent(self, folder, tmp_path):
        from st_keras.data.sources.folders import FolderSource
        from st_keras.data.sources.yolo import YoloSource

        folder.write("classes.txt", "cat\n")
        for i in range(5):  # The first two are labelled.
            picture = folder.picture(f"images/{i}.png", 4, 6 + i)
            folder.write(f"photos/other_{i}.png", picture.read_bytes())
        for i in range(2):
            folder.write(f"labels/{i}.txt", "0 0.5 0.5 0.5 0.5\n")
        for i in range(2, 5):
            (folder.root / "images" / f"{i}.png").unlink()
        folder.convert(YoloSource(folder.root))
        folder.convert(FolderSource(folder.root / "photos", split="photos"))
        records = [f"{folder.output}/{s}/*.tfrecord" for s in ("photos", "train")]
        splits.split(records[0], tmp_path, [100], without=records[1:])
        assert set(splits.read_ids(tmp_path / "fraction_100_seed0.txt")) == {
            *("other_2", "other_3", "other_4")
        }
        with pytest.raises(ValueError, match="`without`: all 5 pictures"):
            splits.split(records[0], tmp_path, [100], without=records)

    def test_a_set_is_not_replaced_by_another(self, pattern, tmp_path):
        splits.split(pattern, tmp_path, [20])
        splits.split(pattern, tmp_path, [20])
        before = splits.read_ids(tmp_path / "fraction_20_seed0.txt")
        # A share of itself, into the folder it lies in.
        with pytest.raises(ValueError, match="fraction_20_seed0.txt: is there already"):
            splits.split(
                pattern,
                tmp_path,
                [20],
                ids_file=str(tmp_path / "fraction_20_seed0.txt"),
            )
        assert splits.read_ids(tmp_path / "fraction_20_seed0.txt") == before

    def test_a_damaged_shard_is_named(self, pattern, tmp_path):
        shard = pattern.replace("*", "records-00001-of-00003")
        with open(shard, "r+b") as file:
            file.truncate(100)
        with pytest.raises(ValueError, match="records-00001-of-00003.*not readable"):
            splits.split(pattern, tmp_path, [10])


def test_crowds_do_not_count_as_showing_a_class(folder):
    from st_keras.data.sources.coco import CocoSource

    folder.picture("a.png")
    annotation = {"id": 1, "image_id": 5, "category_id": 2, "bbox": [1, 2, 30, 40]}
    crowd = annotation | {"id": 2, "category_id": 3, "iscrowd": 1}
    path = folder.write(
        "train.json",
        {
            "images": [{"id": 5, "file_name": "a.png"}],
            "annotations": [annotation, crowd],
            "categories": [{"id": 2, "name": "two"}, {"id": 3, "name": "three"}],
        },
    )
    folder.convert(CocoSource(folder.root, path))
    pattern = str(folder.output / "train" / "*.tfrecord")
    assert record_labels.boxes(pattern) == {"5": {1}}


class TestLabelMaps:
    @pytest.fixture
    def maps(self, tmp_path):
        """Nine pictures: sky in all, a car in every other, a sign in one."""
        tally = dataset_info.Tally()
        with records.ShardWriter(str(tmp_path), 2) as writer:
            for number in range(9):
                ids = np.full([6, 9], 255, np.uint8)
                ids[0], ids[1] = 0, 2 if number % 2 else 255
                ids[2] = 1 if number == 4 else 255
                record = records.Record(
                    image_id=f"p{number}",
                    encoded=images.encode_png(np.full([6, 9], number, np.uint8)),
                    format="png",
                    filename="",
                    height_px=6,
                    width_px=9,
                    boxes_yxyx=np.zeros([0, 4]),
                    labels=np.zeros(0, int),
                    label_map_png=images.encode_png(ids),
                )
                writer.write(record)
                tally.add(record)
        info = tally.info(
            source="masks",
            label_map_names=("sky", "sign", "car"),
            skipped={},
            content_sha256="",
            shards=writer.shards,
        )
        dataset_info.save(info, tmp_path)
        return f"{tmp_path}/*.tfrecord"

    def test_the_classes_of_a_picture_are_those_of_its_pixels(self, maps):
        found = record_labels.label_maps(maps)
        assert len(found) == 9
        assert found["p4"] == {1, 2} and found["p1"] == {1, 3} and found["p0"] == {1}

    def test_a_small_set_shows_every_class(self, maps, tmp_path):
        table = splits.split(maps, tmp_path / "out", [25], ensure_classes=True)
        ids = splits.read_ids(tmp_path / "out" / "fraction_25_seed0.txt")
        assert len(ids) == 2 and "p4" in ids
        rows = [line.split() for line in table.splitlines()]
        assert rows[-3:] == [
            ["with", "sky", "9", "2"],
            ["with", "sign", "1", "1"],
            ["with", "car", "4", "1"],
        ]
