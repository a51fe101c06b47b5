from gateway.s3.columns import Columns


def test_iteration_ends_even_without_a_column() -> None:
    assert list(Columns(0)) == []
    assert list(Columns(2, Key=["a", "b"])) == [{"Key": "a"}, {"Key": "b"}]
