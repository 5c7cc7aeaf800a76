"""Whatever a kernel answers is marked or refused."""

from hypothesis import given
from hypothesis import strategies as st

from autograde.authoring.key import load_key
from tests.autograde.conftest import HERE, TOY

KEY = load_key(HERE / "course" / TOY)


@given(
    parcel=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "answer",
                        "outcomes",
                        "refused",
                        "array",
                        "of",
                        "float",
                        "integer",
                        "items",
                        "blank",
                        "object",
                        "value",
                        "raised",
                    ]
                ),
                inner | st.sampled_from(["numpy", "torch", "nan", "inf", "ValueError", "9" * 5000]),
                max_size=3,
            )
        ),
        max_leaves=10,
    )
)
def test_whatever_a_kernel_answers_is_marked_or_refused(parcel):
    for exercise in KEY.exercises.values():
        assert exercise.mark(parcel).points <= exercise.points
