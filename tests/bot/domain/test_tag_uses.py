from bot.domain.tag_uses import lifted, tags_of


def test_what_is_used_often_goes_up_and_all_else_keeps_its_order():
    found = [("a", 1000), ("b", 900), ("c", 200), ("d", 100)]
    assert lifted(found, {}) == ["a", "b", "c", "d"]
    assert lifted(found, {"d": 2}) == ["a", "b", "c", "d"]
    assert lifted(found, {"d": 3}) == ["a", "b", "d", "c"]
    assert lifted(found, {"d": 30, "c": 30}) == ["c", "d", "a", "b"]


def test_at_most_ten_go_up():
    found = [(f"t{n}", 1000 - n) for n in range(40)]
    order = lifted(found, {f"t{n}": 50 + n for n in range(20, 40)})
    assert sorted(order[:10]) == sorted(f"t{n}" for n in range(30, 40))
    assert order[10:] == [f"t{n}" for n in range(30)]


def test_the_tags_of_a_prompt():
    prompt = r"((long hair)), (blue eyes:1.2), <lora:x:1> hat \(object\), {cat|dog}, , long hair"
    assert tags_of(prompt) == ["long hair", "blue eyes", "hat (object)", "cat", "dog"]
