"""The side of Hugging Face diffusers; see the README of this folder.

python theirs.py check DIR    opens a folder of this project and computes the same
python theirs.py save DIR     writes a folder and what it computes
"""

import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, StableDiffusionControlNetPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

TOLERANCE = 1e-4


def compute(unet, controlnet, vae, text_encoder, io):
    with torch.no_grad():
        ids, timesteps = io["input/ids"].long(), io["input/timesteps"].long()
        context = text_encoder(ids)[0]
        down, mid = controlnet(io["input/sample"], timesteps, context, io["input/cond"], return_dict=False)
        eps = unet(
            io["input/sample"],
            timesteps,
            context,
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
        ).sample
        mean = vae.encode(io["input/image"]).latent_dist.mean
        out = {"context": context, "mean": mean, "decoded": vae.decode(mean).sample, "eps": eps, "mid": mid}
        out.update({f"down.{k}": value for k, value in enumerate(down)})
        return {f"output/{name}": value.contiguous() for name, value in out.items()}


def check(folder):
    # The pipeline's own loader reads model_index.json and every part.
    pipe = StableDiffusionControlNetPipeline.from_pretrained(folder)
    io = load_file(f"{folder}/io.safetensors")
    got = compute(pipe.unet, pipe.controlnet, pipe.vae, pipe.text_encoder, io)
    failed = 0
    for name, want in io.items():
        if not name.startswith("output/"):
            continue
        error = ((got[name] - want).abs().max() / want.abs().max()).item()
        failed += not error <= TOLERANCE
        print("ok  " if error <= TOLERANCE else "FAIL", f"{name:16} {error:.1e}")
    return 1 if failed else 0


def save(folder, tokenizer):
    torch.manual_seed(0)
    common = dict(
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        block_out_channels=(32, 64),
        layers_per_block=1,
        cross_attention_dim=32,
        attention_head_dim=4,
    )
    unet = UNet2DConditionModel(sample_size=8, up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), **common)
    controlnet = ControlNetModel(conditioning_embedding_out_channels=(8, 16), **common)
    vae = AutoencoderKL(
        sample_size=16,
        latent_channels=4,
        block_out_channels=(32, 64),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )
    config = CLIPTextConfig(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=8,
    )
    text_encoder = CLIPTextModel(config)
    networks = (unet, controlnet, vae, text_encoder)
    for network in networks:
        network.eval()
        for parameter in network.parameters():
            parameter.data += 0.05 * torch.randn_like(parameter)
    # Three formats of files: shards, one file, PyTorch's own.
    unet.save_pretrained(f"{folder}/unet", max_shard_size="1MB")
    controlnet.save_pretrained(f"{folder}/controlnet")
    vae.save_pretrained(f"{folder}/vae", safe_serialization=False)
    text_encoder.save_pretrained(f"{folder}/text_encoder")
    DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False).save_pretrained(
        f"{folder}/scheduler"
    )
    CLIPTokenizer.from_pretrained(tokenizer).save_pretrained(f"{folder}/tokenizer")
    io = {
        "input/sample": torch.randn(2, 4, 8, 8),
        "input/cond": torch.rand(2, 3, 16, 16),
        "input/image": torch.randn(1, 3, 16, 16),
        "input/timesteps": torch.tensor([1.0, 501.0]),
        "input/ids": torch.arange(16).reshape(2, 8).float(),
    }
    save_file({**io, **compute(*networks, io)}, f"{folder}/io.safetensors")
    print(sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*") if p.suffix in (".safetensors", ".bin")))


if __name__ == "__main__":
    command, folder, *rest = sys.argv[1:]
    sys.exit(check(folder) if command == "check" else save(folder, *rest))
