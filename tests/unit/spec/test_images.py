"""The engine's release and the parts, by an image's name."""

from __future__ import annotations

import pytest

from tasks.spec.images import Reference, by_digest, reference, vllm_release


@pytest.mark.parametrize(
    ("image", "release"),
    [
        ("vllm/vllm-openai:v0.14.0", (0, 14)),
        ("vllm/vllm-openai:v0.32.0-cu130", (0, 32)),
        ("vllm/vllm-openai:v0.20.1@sha256:abc", (0, 20)),
        ("vllm-cpu:0.32.0", (0, 32)),
        ("registry:5000/x/vllm:0.8.5-ubuntu22.04-dtk25.04.1-py3.10", (0, 8)),
        ("harbor/pytorch:2.5.1-dtk24.04.3-vllm0.6.2", (0, 6)),
        ("harbor:5443/dcu/admin/base/custom:vllm0.18.1-hotfix-ubuntu22.04-dtk2604", (0, 18)),
        ("rocm/vllm:rocm6.4.1_vllm_0.9.1_20250715", (0, 9)),
        ("gpustack/runner:rocm7.2-vllm0.25.1", (0, 25)),
        ("quay.io/ascend/vllm-ascend:v0.11.0rc1", (0, 11)),
        # their own counts, and none
        ("nvcr.io/nvidia/vllm:25.09-py3", None),
        ("registry.redhat.io/rhaiis/vllm-cuda-rhel9:3.2.1", None),
        ("lmcache/vllm-openai:v0.3.15", None),
        ("vllm/vllm-openai:latest", None),
        ("vllm/vllm-openai:cu130-nightly", None),
        ("vllm/vllm-openai@sha256:0.14.0", None),
        ("registry:5000/vllm", None),
        ("vllm/other:0.32.0", None),
        ("exact-engine:1", None),
    ],
)
def test_the_engines_release_is_known_by_its_image(
    image: str, release: tuple[int, int] | None
) -> None:
    assert vllm_release(image) == release


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("vllm", ("docker.io", "library/vllm", "latest", "")),
        ("vllm/vllm-openai:v0.18", ("docker.io", "vllm/vllm-openai", "v0.18", "")),
        ("localhost/a:1", ("localhost", "a", "1", "")),
        (
            "image.sourcefind.cn:5000/dcu/admin/base/vllm:0.8.5-dtk25.04",
            ("image.sourcefind.cn:5000", "dcu/admin/base/vllm", "0.8.5-dtk25.04", ""),
        ),
        ("r.io/a/b:1@sha256:0", ("r.io", "a/b", "1", "sha256:0")),
        ("r.io/a@sha256:0", ("r.io", "a", "latest", "sha256:0")),
    ],
)
def test_the_parts_of_an_images_name(image: str, found: tuple[str, ...]) -> None:
    assert reference(image) == Reference(*found)


@pytest.mark.parametrize("image", ["", "r.io/", "A/b", "a b", "r.io/../b", ":1"])
def test_what_names_no_image(image: str) -> None:
    with pytest.raises(ValueError, match="names no image; write it as registry/name:tag"):
        reference(image)


def test_an_image_is_named_by_its_digest_as_well() -> None:
    assert by_digest("r.io/a:1", "sha256:2") == by_digest("r.io/a:1@sha256:0", "sha256:2")
    assert by_digest("r.io/a:1", "sha256:2") == "r.io/a:1@sha256:2"
