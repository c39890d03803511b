"""The rows of `sfumato.diffusion.table`: every sampler and schedule, and what others call it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SamplerRow:
    """One sampler: our name, what others call it, what it costs, and what it is good for."""

    name: str
    title: str  # as A1111 shows it
    aliases: tuple[str, ...]  # A1111, ComfyUI, diffusers
    order: int  # halving the step divides the error by 2^order; with noise, that of the variance
    draws_noise: bool
    calls: int  # of the network, per step
    source: str
    summary: str  # for those who choose by eye; one sentence


@dataclass(frozen=True)
class ScheduleRow:
    """One schedule: our name, what others call it, and what it is good for."""

    name: str
    title: str  # as A1111 shows it
    aliases: tuple[str, ...]
    source: str
    summary: str


_AYS = "Sabour et al. 2024, Align Your Steps, arXiv:2404.14507"
_BETA = "Lee et al. 2024, Beta Sampling is All You Need, arXiv:2407.12173"
_DDIM = "Song et al. 2020, Denoising Diffusion Implicit Models, arXiv:2010.02502"
_DDPM = "Ho et al. 2020, Denoising Diffusion Probabilistic Models, arXiv:2006.11239"
_DEIS = "Zhang and Chen 2022, DEIS, arXiv:2204.13902"
_DPM = "Lu et al. 2022, DPM-Solver, arXiv:2206.00927"
_DPMPP = "Lu et al. 2022, DPM-Solver++, arXiv:2211.01095"
_GITS = "Chen et al. 2024, Trajectory Regularity, GITS, arXiv:2405.11326"
_KARRAS = "Karras et al. 2022, Elucidating the Design Space, arXiv:2206.00364"
_KDIFFUSION = "Crowson 2022, k-diffusion"
_KDIFF_DPM2 = "Crowson 2022, k-diffusion, after DPM-Solver-2, arXiv:2206.00927"
_LCM = "Luo et al. 2023, Latent Consistency Models, arXiv:2310.04378"
_PNDM = "Liu et al. 2022, PNDM, arXiv:2202.09778"
_RES = "Zhang et al. 2023, RES, arXiv:2308.02157"
_RESTART = "Xu et al. 2023, Restart Sampling, arXiv:2306.14878"
_TCD = "Zheng et al. 2024, Trajectory Consistency Distillation, arXiv:2402.19159"
_UNIPC = "Zhao et al. 2023, UniPC, arXiv:2302.04867"

# Order 0: no solver, for distilled models. dpm_adaptive calls three times for each step that it
# chooses itself, restart and plms call more often in one step: see their functions.
SAMPLER_ROWS = (
    SamplerRow(
        "ddim",
        "DDIM",
        ("DDIMScheduler",),
        1,
        False,
        1,
        _DDIM,
        "Plain and steady, the first fast sampler; the same as Euler.",
    ),
    SamplerRow(
        "ddpm",
        "DDPM",
        ("DDPMScheduler",),
        1,
        True,
        1,
        _DDPM,
        "The original: fresh noise in every step; wants many steps.",
    ),
    SamplerRow(
        "deis",
        "DEIS",
        ("DEISMultistepScheduler",),
        2,
        False,
        1,
        _DEIS,
        "Smooth and precise with few steps; close to DPM++ 2M.",
    ),
    SamplerRow(
        "dpm2",
        "DPM2",
        ("dpm_2", "k_dpm_2", "KDPM2DiscreteScheduler"),
        2,
        False,
        2,
        _KDIFF_DPM2,
        "Looks twice at each step; as good as Heun, at the same cost.",
    ),
    SamplerRow(
        "dpm2_ancestral",
        "DPM2 a",
        ("dpm_2_ancestral", "k_dpm_2_a", "KDPM2AncestralDiscreteScheduler"),
        2,
        True,
        2,
        _KDIFF_DPM2,
        "DPM2 with fresh noise: lively, never settles on one picture.",
    ),
    SamplerRow(
        "dpm_adaptive",
        "DPM adaptive",
        ("k_dpm_ad",),
        3,
        False,
        3,
        _DPM,
        "Chooses its own steps; the number of steps asked for does not matter.",
    ),
    SamplerRow(
        "dpm_fast",
        "DPM fast",
        ("k_dpm_fast", "DPMSolverSinglestepScheduler"),
        2,
        False,
        1,
        _DPM,
        "Made for very few steps; others have overtaken it.",
    ),
    SamplerRow(
        "dpmpp_2m",
        "DPM++ 2M",
        ("k_dpmpp_2m", "DPMSolverMultistepScheduler"),
        2,
        False,
        1,
        _DPMPP,
        "The safe choice: clean pictures from about 20 steps on.",
    ),
    SamplerRow(
        "dpmpp_2m_sde",
        "DPM++ 2M SDE",
        ("k_dpmpp_2m_sde", "dpmpp_2m_sde_gpu"),
        2,
        True,
        1,
        _DPMPP,
        "More texture than DPM++ 2M, for some more steps; with karras or sgm_uniform.",
    ),
    SamplerRow(
        "dpmpp_2m_sde_heun",
        "DPM++ 2M SDE Heun",
        ("k_dpmpp_2m_sde_heun", "dpmpp_2m_sde_heun_gpu"),
        2,
        True,
        1,
        _DPMPP,
        "DPM++ 2M SDE by a finer rule, often smoother; with karras or sgm_uniform.",
    ),
    SamplerRow(
        "dpmpp_2m_sigma",
        "DPM++ 2M sigma",
        (),
        2,
        False,
        1,
        _DPMPP,
        "DPM++ 2M as SD3's own code and ComfyUI run it; to repeat their pictures.",
    ),
    SamplerRow(
        "dpmpp_2s_ancestral",
        "DPM++ 2S a",
        ("dpmpp_2s_a", "k_dpmpp_2s_a"),
        2,
        True,
        2,
        _DPMPP,
        "Rich detail with fresh noise, at twice the cost of a step.",
    ),
    SamplerRow(
        "dpmpp_3m_sde",
        "DPM++ 3M SDE",
        ("k_dpmpp_3m_sde", "dpmpp_3m_sde_gpu"),
        2,
        True,
        1,
        _KDIFFUSION,
        "For many steps, 30 and more; exponential, karras or sgm_uniform.",
    ),
    SamplerRow(
        "dpmpp_sde",
        "DPM++ SDE",
        ("k_dpmpp_sde", "dpmpp_sde_gpu", "DPMSolverSDEScheduler"),
        2,
        True,
        2,
        _DPMPP,
        "Strong texture and light already with few steps, at twice the cost.",
    ),
    SamplerRow(
        "euler",
        "Euler",
        ("k_euler", "EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"),
        1,
        False,
        1,
        _KARRAS,
        "Simple and soft; the usual choice for SD3 and Flux.",
    ),
    SamplerRow(
        "euler_ancestral",
        "Euler a",
        ("euler_a", "k_euler_a", "k_euler_ancestral", "EulerAncestralDiscreteScheduler"),
        1,
        True,
        1,
        _KDIFFUSION,
        "Soft, lively pictures that keep changing with the number of steps.",
    ),
    SamplerRow(
        "heun",
        "Heun",
        ("k_heun", "HeunDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"),
        2,
        False,
        2,
        _KARRAS,
        "Euler, corrected in each step: precise, at twice the cost.",
    ),
    SamplerRow(
        "ipndm", "iPNDM", (), 2, False, 1, _DEIS, "Remembers four steps; good with few of them."
    ),
    SamplerRow(
        "ipndm_v", "iPNDM v", (), 2, False, 1, _DEIS, "iPNDM that reckons with uneven steps."
    ),
    SamplerRow(
        "lcm",
        "LCM",
        ("k_lcm", "LCMScheduler"),
        0,
        True,
        1,
        _LCM,
        "For LCM models and LoRAs alone: 2 to 8 steps, guidance 1 to 2.",
    ),
    SamplerRow(
        "lms",
        "LMS",
        ("k_lms", "LMSDiscreteScheduler"),
        2,
        False,
        1,
        _KDIFFUSION,
        "Remembers four steps; precise with many, restless with few.",
    ),
    SamplerRow(
        "plms",
        "PLMS",
        ("PNDMScheduler", "pndm"),
        2,
        False,
        1,
        _PNDM,
        "Stable Diffusion's first sampler; one call more in the first step.",
    ),
    SamplerRow(
        "res_multistep", "RES multistep", ("res_2m",), 2, False, 1, _RES, "A close kin of DPM++ 2M."
    ),
    SamplerRow(
        "restart",
        "Restart",
        (),
        2,
        True,
        2,
        _RESTART,
        "Heun that goes back once to mend its errors: fine detail, dearer steps.",
    ),
    SamplerRow(
        "tcd",
        "TCD",
        ("TCDScheduler",),
        0,
        True,
        1,
        _TCD,
        "For TCD and Hyper-SD models and LoRAs alone: 2 to 8 steps, guidance 1.",
    ),
    SamplerRow(
        "unipc",
        "UniPC",
        ("uni_pc_bh2", "UniPCMultistepScheduler"),
        2,
        False,
        1,
        _UNIPC,
        "Settles very early: good pictures with 10 to 15 steps.",
    ),
    SamplerRow(
        "unipc_bh1",
        "UniPC bh1",
        ("uni_pc", "uni_pc_bh1"),
        2,
        False,
        1,
        _UNIPC,
        "UniPC as A1111 and ComfyUI run it, with three estimates.",
    ),
)

SCHEDULE_ROWS = (
    ScheduleRow(
        "normal",
        "Uniform",
        ("linspace",),
        "k-diffusion, get_sigmas",
        "Even in the model's own time; the old standard.",
    ),
    ScheduleRow(
        "karras",
        "Karras",
        ("use_karras_sigmas", "ka"),
        _KARRAS,
        "More steps at low noise, where detail is made; for SD 1, 2 and XL.",
    ),
    ScheduleRow(
        "exponential",
        "Exponential",
        ("use_exponential_sigmas",),
        "k-diffusion, even in log sigma",
        "Still more steps at low noise; for the SDE samplers.",
    ),
    ScheduleRow(
        "polyexponential",
        "Polyexponential",
        (),
        "k-diffusion, get_sigmas_polyexponential",
        "The exponential schedule with a bend; as A1111 sets it, without.",
    ),
    ScheduleRow(
        "simple",
        "Simple",
        ("trailing",),
        "ComfyUI, simple",
        "Every so many-th level from the top; for SD3 and Flux.",
    ),
    ScheduleRow(
        "ddim_uniform",
        "DDIM",
        ("leading", "ddim"),
        _DDIM,
        "Even steps from the bottom up, as the first DDIM code took them.",
    ),
    ScheduleRow(
        "sgm_uniform",
        "SGM Uniform",
        ("SGMUniform",),
        "Stability AI generative-models, EulerEDMSampler configuration",
        "As normal, without its lowest level; for Lightning, LCM and Turbo models.",
    ),
    ScheduleRow(
        "lcm",
        "LCM",
        (),
        _LCM,
        "Of the fifty levels that LCM models were distilled at, each so many-th.",
    ),
    ScheduleRow(
        "beta",
        "Beta",
        ("use_beta_sigmas",),
        _BETA,
        "Many steps at both ends, few between; for Flux and SD3.",
    ),
    ScheduleRow(
        "kl_optimal",
        "KL Optimal",
        (),
        _AYS,
        "Even in the angle of signal and noise; a middle between normal and Karras.",
    ),
    ScheduleRow(
        "align_your_steps",
        "Align Your Steps",
        ("ays", "AYS"),
        _AYS,
        "NVIDIA's levels, tuned on SD 1.5 for 10 steps.",
    ),
    ScheduleRow(
        "align_your_steps_sdxl",
        "Align Your Steps SDXL",
        ("ays_sdxl",),
        _AYS,
        "NVIDIA's levels, tuned on SDXL for 10 steps.",
    ),
    ScheduleRow(
        "align_your_steps_svd",
        "Align Your Steps SVD",
        ("ays_svd",),
        _AYS,
        "NVIDIA's levels, tuned on Stable Video Diffusion.",
    ),
    ScheduleRow(
        "gits",
        "GITS",
        ("Align Your Steps GITS",),
        _GITS,
        "Levels for each number of steps from 2 to 20, tuned on SD 1.5.",
    ),
    ScheduleRow(
        "linear_quadratic",
        "Linear Quadratic",
        (),
        "Genmo 2024, Mochi 1, linear_quadratic_schedule",
        "Half the steps at the highest noise; made for the Mochi model, a flow.",
    ),
)
