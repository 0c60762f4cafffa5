import json

import numpy as np
import pytest

from dynaseg.io.names import ClusterNames, read_names, write_names


def test_names_are_read_as_they_were_written(tmp_path):
    names = ClusterNames({10: 'Straße', 2: 'a "b"'}, 'a person', 'f0')
    write_names(tmp_path / 'sub/names.json', names)
    assert read_names(tmp_path / 'sub/names.json') == names
    content = json.loads((tmp_path / 'sub/names.json').read_text('utf-8'))
    assert list(content['names']) == ['2', '10']
    write_names(tmp_path / 'names.json', ClusterNames({0: 'a'}, ''))
    assert read_names(tmp_path / 'names.json').checkpoint_sha256 is None


def test_names_may_be_of_any_script():
    names = ('پیاده\u200cرو', 'living\xa0room', '\U0001f469\u200d\U0001f33e' * 33)
    assert ClusterNames(dict(enumerate(names)), '').labels == tuple(sorted(names))


def test_labels_are_the_sorted_names_whatever_clusters_have_them():
    one = ClusterNames({0: 'sky', 1: 'road', 2: 'sky'}, '').number_labels(3)
    other = ClusterNames({0: 'road', 2: 'sky'}, '').number_labels(4)
    assert one[1] == ('road', 'sky')
    assert one[0].tolist() == [1, 0, 1]
    assert other[1] == ('road', 'sky', 'unnamed')
    assert other[0].tolist() == [0, 2, 1, 2]


def test_classes_are_found_by_name():
    names = ClusterNames({0: 'sky', 3: 'sky', 1: 'road'}, '')
    classes = names.find_classes(5, ('road', 'car', 'sky'))
    np.testing.assert_array_equal(classes, [2, 0, -1, 2, -1])
    with pytest.raises(ValueError, match=r"'sky' are none of the classes \(road\)"):
        names.find_classes(5, ['road'])
    with pytest.raises(ValueError, match='names are of clusters 3, and there are 3, from 0'):
        names.find_classes(3, ['road', 'sky'])


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('', 'Expecting value'),
        ('[]', 'expected {"names"'),
        ('{"made_from": ""}', 'expected {"names"'),
        ('{"names": {}, "made_from": ""}', 'names are of no cluster'),
        ('{"names": {"0": "a"}}', 'made_from must be text, got None'),
        ('{"names": {"0": "a"}, "made_from": "", "x": 1}', 'it has x: expected'),
        ('{"names": {"a": "b"}, "made_from": ""}', "integers of at least 0, got 'a'"),
        ('{"names": {"-1": "b"}, "made_from": ""}', "integers of at least 0, got '-1'"),
        ('{"names": {"01": "b"}, "made_from": ""}', "integers of at least 0, got '01'"),
        ('{"names": {"1": 2}, "made_from": ""}', 'cluster 1 has the name 2: expected text'),
        ('{"names": {"1": ""}, "made_from": ""}', "cluster 1 has the name '': expected text"),
        ('{"names": {"1": " a"}, "made_from": ""}', "has the name ' a': .*without spaces"),
        ('{"names": {"1": "\\u200b"}, "made_from": ""}', 'expected text of 1 to 100'),
        ('{"names": {"1": "a\\nb"}, "made_from": ""}', 'expected text of .* on one line'),
        ('{"names": {"1": "unnamed"}, "made_from": ""}', 'leave out what has no name'),
        ('{"names": {"1": "a", "1": "b"}, "made_from": ""}', '1 stand in it twice'),
        ('{"names": {"1": "a"}, "made_from": "", "checkpoint_sha256": 3}', 'sha256 must be text'),
    ],
)
def test_other_files_are_errors_that_name_them(tmp_path, content, message):
    path = tmp_path / 'names.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=rf'names.json holds no names of clusters: .*{message}'):
        read_names(path)


def test_files_that_are_no_text_or_absent_are_named(tmp_path):
    (tmp_path / 'a.json').write_bytes(b'\xff\xfe')
    with pytest.raises(ValueError, match=r'a\.json holds no names'):
        read_names(tmp_path / 'a.json')
    with pytest.raises(FileNotFoundError, match=r'no file of names .*b\.json'):
        read_names(tmp_path / 'b.json')
