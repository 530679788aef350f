"""smolagents' CodeAgent with E2B as its executor: a scripted model, and one tool."""

from smolagents import CodeAgent, Model, tool
from smolagents.models import ChatMessage, MessageRole, TokenUsage


class Scripted(Model):
    """A model that gives the same replies in each run."""

    def __init__(self, replies):
        super().__init__(model_id="scripted")
        self.replies = list(replies)
        self.seen = []

    def generate(self, messages, **kwargs):
        self.seen.append(str(messages[-1].content))
        usage = TokenUsage(input_tokens=1, output_tokens=1)
        return ChatMessage(role=MessageRole.ASSISTANT, content=self.replies.pop(0), token_usage=usage)


@tool
def price(item: str) -> int:
    """Returns the price of an item.

    Args:
        item: Name of the item.
    """
    return {"pear": 3, "apple": 4}[item]


REPLIES = [
    "I look up prices.\n<code>\nprices = [price('pear'), price('apple')]\nprint('sum', sum(prices))\n</code>",
    "An error.\n<code>\nprice('plum')\n</code>",
    "The state lasted.\n<code>\nimport numpy as np\nfinal_answer({'total': int(np.sum(prices))})\n</code>",
]

model = Scripted(REPLIES)
with CodeAgent(tools=[price], model=model, executor_type="e2b", additional_authorized_imports=["numpy"]) as agent:
    answer = agent.run("What do a pear and an apple cost?")
assert answer == {"total": 7}, answer
assert "sum 7" in model.seen[1], model.seen[1]
assert "KeyError" in model.seen[2], model.seen[2]
print("ok")
