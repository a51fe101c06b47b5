import re

from gateway.s3.columns import Columns
from gateway.s3.model import operations
from gateway.s3.xml_writer import compile_answer


def test_iteration_ends_even_without_a_column() -> None:
    assert list(Columns(0)) == []
    assert list(Columns(2, Key=["a", "b"])) == [{"Key": "a"}, {"Key": "b"}]


def test_versions_and_delete_markers_are_written_in_one_order() -> None:
    write = compile_answer(operations()["ListObjectVersions"])
    for kinds in ("v", "m", "vm", "mv", "vvmmv", "mvvvvvvmmvvvvvvvmmmmmmm", "vvvvvvvvvv", "mmmmmmmmm"):
        placed = list(enumerate(kinds))
        lists = [Columns(kinds.count(kind), Key=[f"<{at}" for at, each in placed if each == kind]) for kind in "vm"]
        lists[1].places = [at for at, each in placed if each == "m"]
        prefixes = [{"Prefix": "p"}]
        xml = write(dict(Name="b", Versions=lists[0], DeleteMarkers=lists[1], CommonPrefixes=prefixes)).decode()
        found = re.findall("<(Version|DeleteMarker)><Key>&lt;([0-9]+)</Key></(Version|DeleteMarker)>", xml)
        named = {"v": "Version", "m": "DeleteMarker"}
        assert found == [(named[kind], str(at), named[kind]) for at, kind in placed]
        assert xml.startswith("<?xml") and "<Name>b</Name><" in xml
        assert xml.endswith("<CommonPrefixes><Prefix>p</Prefix></CommonPrefixes></ListVersionsResult>")
