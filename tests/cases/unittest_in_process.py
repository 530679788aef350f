# unittest run in the process: passes, failures, errors, skips, sub-tests and mocks.
import io
import unittest
from unittest import mock


class Sample(unittest.TestCase):
    def setUp(self):
        self.items = [1, 2]

    def test_pass(self):
        self.assertEqual(sum(self.items), 3)
        with self.assertRaises(KeyError):
            {}["x"]
        self.assertAlmostEqual(0.1 + 0.2, 0.3)
        self.assertCountEqual("ab", "ba")

    def test_fail(self):
        self.assertIn(3, self.items)

    def test_error(self):
        raise OSError("broken")

    @unittest.skip("not now")
    def test_skip(self):
        self.fail()

    @unittest.expectedFailure
    def test_expected(self):
        self.assertTrue(False)

    def test_sub(self):
        for i in range(3):
            with self.subTest(i=i):
                self.assertNotEqual(i, 1)

    def test_mock(self):
        service = mock.Mock()
        service.fetch.side_effect = [1, ValueError]
        self.assertEqual(service.fetch("a", key=2), 1)
        self.assertRaises(ValueError, service.fetch)
        service.fetch.assert_any_call("a", key=2)
        with mock.patch("io.StringIO", return_value="patched"):
            self.assertEqual(io.StringIO(), "patched")


suite = unittest.defaultTestLoader.loadTestsFromTestCase(Sample)
result = unittest.TextTestRunner(stream=io.StringIO()).run(suite)
print(result.wasSuccessful())
for kind in ("failures", "errors"):
    print(kind, sorted(case.id().split(".")[-1] for case, _ in getattr(result, kind)))
print(len(result.skipped), len(result.expectedFailures))
