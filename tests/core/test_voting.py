import torch

from dynaseg.core.voting import give_to_strongest, sum_groups


def test_sums_are_those_of_a_loop():
    probabilities = torch.rand(2, 5, 3, 4)
    groups = torch.tensor([1, 0, 1, 2, 0])
    sums = sum_groups(probabilities, groups)
    assert sums.shape == (2, 3, 3, 4)
    for group in range(3):
        expected = sum(probabilities[:, k] for k in range(5) if groups[k] == group)
        torch.testing.assert_close(sums[:, group], expected)


def test_the_strongest_of_the_strongest_group_wins():
    probabilities = torch.rand(2, 5, 3, 4)
    groups = torch.tensor([1, 0, 1, 2, 0])
    sums = sum_groups(probabilities, groups)
    winners = give_to_strongest(sums, probabilities, groups).argmax(dim=1)
    assert torch.equal(groups[winners], sums.argmax(dim=1))
    for n in range(2):
        for y in range(3):
            for x in range(4):
                members = [k for k in range(5) if groups[k] == groups[winners[n, y, x]]]
                best = max(members, key=lambda k: probabilities[n, k, y, x])
                assert winners[n, y, x] == best
