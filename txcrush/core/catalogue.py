"""Known providers, so that a key and a model are enough to configure one.

Names, types, addresses and default models come from the public catwalk catalogue v0.52.1, which is under the MIT
licence:

    Copyright (c) 2025 Charmbracelet, Inc

    Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
    documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
    rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to
    permit persons to whom the Software is furnished to do so, subject to the following conditions:

    The above copyright notice and this permission notice shall be included in all copies or substantial portions of
    the Software.

    THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
    WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS
    OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
    OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

# ruff: noqa: E501 (the lines of a table)

from msgspec import Struct


class CatalogueEntry(Struct, frozen=True):
    """A known provider. `endpoint` and `key_template` are templates (`$NAME`) that configuration may override."""

    id: str
    name: str
    type: str
    endpoint: str
    key_template: str
    default_large: str
    default_small: str


_TABLE = """
anthropic | Anthropic | anthropic | ${ANTHROPIC_API_ENDPOINT:-https://api.anthropic.com} | $ANTHROPIC_API_KEY | claude-sonnet-4-6 | claude-haiku-4-5-20251001
openai | OpenAI | openai | ${OPENAI_API_ENDPOINT:-https://api.openai.com/v1} | $OPENAI_API_KEY | gpt-5.6-sol | gpt-5.6-luna
xai | xAI | openai-compat | https://api.x.ai/v1 | $XAI_API_KEY | grok-4.5 | grok-4.5
zai | Z.AI | openai-compat | https://api.z.ai/api/coding/paas/v4 | $ZAI_API_KEY | glm-5.2 | glm-5-turbo
kimi-coding | Kimi Coding | anthropic | https://api.kimi.com/coding | $KIMI_CODING_API_KEY | kimi-for-coding | kimi-for-coding
minimax | MiniMax | anthropic | https://api.minimax.io/anthropic | $MINIMAX_API_KEY | MiniMax-M2.7 | MiniMax-M2.7
minimax-china | MiniMax China | anthropic | https://api.minimaxi.com/anthropic | $MINIMAX_API_KEY | MiniMax-M2.7 | MiniMax-M2.7
moonshot | Moonshot | openai-compat | https://api.moonshot.ai/v1 | $MOONSHOT_API_KEY | kimi-k3 | kimi-k2.7-code
synthetic | Synthetic | openai-compat | https://api.synthetic.new/openai/v1 | $SYNTHETIC_API_KEY | syn:large:text | syn:small:text
aihubmix | AIHubMix | openai-compat | https://aihubmix.com/v1 | $AIHUBMIX_API_KEY | gpt-5 | gpt-5-nano
alibaba-singapore | Alibaba (Singapore) | openai-compat | https://dashscope-intl.aliyuncs.com/compatible-mode/v1 | $ALIBABA_SINGAPORE_API_KEY | qwen3.6-plus | qwen3.6-flash
alibaba-us | Alibaba (US) | openai-compat | https://dashscope-us.aliyuncs.com/compatible-mode/v1 | $ALIBABA_US_API_KEY | deepseek-v4-pro-us | deepseek-v4-flash-us
atlascloud | Atlas Cloud | openai-compat | https://api.atlascloud.ai/v1 | $ATLASCLOUD_API_KEY | zai-org/glm-5.2 | deepseek-ai/deepseek-v4-flash
baseten | Baseten | openai-compat | https://inference.baseten.co/v1 | $BASETEN_API_KEY | deepseek-ai/DeepSeek-V4-Pro | openai/gpt-oss-120b
avian | Avian | openai-compat | https://api.avian.io/v1 | $AVIAN_API_KEY | moonshotai/kimi-k2.5 | deepseek/deepseek-v3.2
cerebras | Cerebras | openai-compat | https://api.cerebras.ai/v1 | $CEREBRAS_API_KEY | gpt-oss-120b | gemma-4-31b
chutes | Chutes | openai-compat | https://llm.chutes.ai/v1 | $CHUTES_API_KEY | moonshotai/Kimi-K2.6-TEE | google/gemma-4-31B-turbo-TEE
cortecs | Cortecs | openai | https://api.cortecs.ai/v1 | $CORTECS_API_KEY | qwen3-coder-30b-a3b-instruct | glm-4.7-flash
deepseek | DeepSeek | openai-compat | https://api.deepseek.com/v1 | $DEEPSEEK_API_KEY | deepseek-v4-pro | deepseek-v4-flash
fireworks | Fireworks | openai-compat | https://api.fireworks.ai/inference/v1 | $FIREWORKS_API_KEY | accounts/fireworks/models/deepseek-v4-pro-0813 | accounts/fireworks/models/deepseek-v4-flash-0731
groq | Groq | openai-compat | https://api.groq.com/openai/v1 | $GROQ_API_KEY | moonshotai/kimi-k2-instruct-0905 | qwen/qwen3-32b
huggingface | Hugging Face | openai-compat | https://router.huggingface.co/v1 | $HF_TOKEN | zai-org/GLM-5.2:fireworks-ai | google/gemma-4-31B-it:cerebras
ionet | io.net | openai-compat | https://api.intelligence.io.solutions/api/v1 | $IONET_API_KEY | moonshotai/Kimi-K2.5 | zai-org/GLM-4.7-Flash
nebius | Nebius Token Factory | openai-compat | https://api.tokenfactory.nebius.com/v1 | $NEBIUS_API_KEY | moonshotai/Kimi-K2.5 | nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B
neuralwatt | Neuralwatt | openai-compat | https://api.neuralwatt.com/v1 | $NEURALWATT_API_KEY | glm-5.2 | glm-5.2-fast
opencode-go | OpenCode Go | openai-compat | https://opencode.ai/zen/go/v1 | $OPENCODE_API_KEY | minimax-m2.7 | minimax-m2.7
opencode-zen | OpenCode Zen | openai-compat | https://opencode.ai/zen/v1 | $OPENCODE_API_KEY | deepseek-v4-flash-free | deepseek-v4-flash-free
openrouter | OpenRouter | openrouter | https://openrouter.ai/api/v1 | $OPENROUTER_API_KEY | anthropic/claude-sonnet-4.6 | anthropic/claude-haiku-4.5
qiniucloud | QiniuCloud | openai-compat | https://api.qnaigc.com/v1 | $QINIUCLOUD_API_KEY | minimax/minimax-m2.5 | glm-4.5
scaleway | Scaleway | openai-compat | https://api.scaleway.ai/v1 | $SCW_SECRET_KEY | qwen3.6-35b-a3b | gemma-4-26b-a4b-it
vercel | Vercel | vercel | https://ai-gateway.vercel.sh/v1 | $VERCEL_API_KEY | anthropic/claude-sonnet-4 | anthropic/claude-haiku-4.5
venice | Venice AI | openai-compat | https://api.venice.ai/api/v1 | $VENICE_API_KEY | claude-fable-5 | nvidia-nemotron-3-5-lightning-30b-a3b
zhipu | Zhipu | openai-compat | https://open.bigmodel.cn/api/paas/v4 | $ZHIPU_API_KEY | glm-4.7 | glm-4.7-flash
zhipu-coding | Zhipu Coding | openai-compat | https://open.bigmodel.cn/api/coding/paas/v4 | $ZHIPU_API_KEY | glm-5.2 | glm-5-turbo
"""

CATALOGUE: tuple[CatalogueEntry, ...] = tuple(
    CatalogueEntry(*(cell.strip() for cell in line.split("|"))) for line in _TABLE.strip().splitlines()
)
"""The table, in the order that decides which configured provider the default models come from."""
