"""What happens to small faces, against values worked out by hand."""

import numpy as np

from fsr_fer.data.degradations import add, blur, brighten, jpeg, shrink


def test_other_kernels_by_hand() -> None:
    face = np.zeros((4, 4, 3), np.uint8)
    face[:2, :2] = [[[10] * 3, [20] * 3], [[30] * 3, [40] * 3]]
    face[2:, 2:] = 80
    area = shrink(face, 2, "area")[:, :, 0]
    np.testing.assert_array_equal(area, [[25, 0], [0, 80]])
    nearest = shrink(face, 2, "nearest")[:, :, 0]
    assert nearest[0, 0] in (10, 20, 30, 40)
    np.testing.assert_array_equal(nearest[1], [0, 80])


def test_light_and_noise_by_hand() -> None:
    face = np.full((2, 2, 3), 100, np.uint8)
    face[0] = 200
    assert brighten(face, 1.5)[:, 0, 0].tolist() == [255, 150]
    assert brighten(face, 0.5)[:, 0, 0].tolist() == [100, 50]
    noise = np.zeros((2, 2, 3))
    noise[0, 0], noise[1, 1] = 60.4, -120.0
    noisy = add(face, noise)[:, :, 1]
    np.testing.assert_array_equal(noisy, [[255, 200], [100, 0]])


def test_blur_and_jpeg_keep_the_mean_and_lose_detail() -> None:
    face = np.random.default_rng(1).integers(64, 192, (24, 24, 3)).astype(np.uint8)
    flat = np.full((24, 24, 3), 90, np.uint8)
    for change in (lambda f: blur(f, 0.8), lambda f: jpeg(f, 30)):
        np.testing.assert_allclose(change(flat), flat, atol=1)
        changed = change(face).astype(float)
        assert changed.shape == face.shape
        assert abs(changed.mean() - face.mean()) < 2
        assert changed.std() < 0.97 * face.std()
    error = [np.abs(jpeg(face, q).astype(float) - face).mean() for q in (30, 60, 90)]
    assert error == sorted(error, reverse=True)
