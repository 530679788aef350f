# Sorting: stability, keys, errors; heaps and bisection.
import bisect
import heapq

rows = [("b", 2), ("a", 2), ("c", 1), ("a", 1), ("b", 1)]
print(sorted(rows, key=lambda r: r[1]), sorted(rows, key=lambda r: r[0], reverse=True))
rows.sort(key=lambda r: (-r[1], r[0]))
print(rows, sorted([3, 1.5, True, -2]), sorted("Banana", key=str.lower), sorted([[2], [1, 5], []]))
print(min(rows, key=lambda r: r[1]), max("apple", "fig", key=len), min([], default="none"), list(reversed([1, 2])))


class Card:
    compared = 0

    def __init__(self, n):
        self.n = n

    def __lt__(self, other):
        Card.compared += 1
        return self.n < other.n


print([c.n for c in sorted(map(Card, [3, 1, 2]))], Card.compared > 0)
try:
    sorted([1, "a"])
except TypeError as error:
    print(type(error).__name__)
heap = [5, 3, 8, 1]
heapq.heapify(heap)
heapq.heappush(heap, 2)
print([heapq.heappop(heap) for _ in range(3)], heapq.heapreplace(heap, 9), heapq.nsmallest(2, [4, 1, 3]), heapq.nlargest(2, "hello"))
print(list(heapq.merge([1, 4], [2, 3], [0])), heapq.heappushpop([1, 2], 0))
scale = [10, 20, 20, 30]
print(bisect.bisect(scale, 20), bisect.bisect_left(scale, 20), bisect.bisect_right(scale, 5))
bisect.insort(scale, 25)
print(scale, bisect.bisect_left([("a", 1), ("b", 2)], 2, key=lambda r: r[1]))
numbers = [(i * 7919) % 1009 for i in range(1009)]
print(sorted(numbers) == list(range(1009)), sorted(numbers, reverse=True)[:3])
