"""Writes `bibliography.md`: the papers that docstrings cite, and where.

python docs/generate_bibliography.py
"""

import ast
import pathlib
import re

DOCS = pathlib.Path(__file__).resolve().parent
PACKAGE = DOCS.parent / "keras_monoflow"
PAGE = DOCS / "bibliography.md"
NUMBER = re.compile(r"arXiv (\d{4}\.\d{4,5})")

#: Authors, title and year by number on arXiv.
PAPERS = {
    "1206.4664": "Ruderman et al., *Tighter variational representations of "
    "f-divergences via restriction to probability measures*, 2012",
    "1411.1784": "Mirza, Osindero, *Conditional generative adversarial nets*, "
    "2014",
    "1511.06434": "Radford, Metz, Chintala, *Unsupervised representation "
    "learning with deep convolutional GANs*, 2016",
    "1606.00709": "Nowozin, Cseke, Tomioka, *f-GAN: Training generative neural "
    "samplers using variational divergence minimization*, 2016",
    "1606.03498": "Salimans et al., *Improved techniques for training GANs*, "
    "2016",
    "1609.04468": "White, *Sampling generative networks*, 2016",
    "1609.05158": "Shi et al., *Real-time single image and video "
    "super-resolution using an efficient sub-pixel convolutional network*, "
    "2016",
    "1610.02920": "Uehara et al., *Generative adversarial nets from a density "
    "ratio estimation perspective*, 2016",
    "1610.07629": "Dumoulin, Shlens, Kudlur, *A learned representation for "
    "artistic style*, 2017",
    "1611.00712": "Maddison, Mnih, Teh, *The concrete distribution: A "
    "continuous relaxation of discrete random variables*, 2017",
    "1611.01144": "Jang, Gu, Poole, *Categorical reparameterization with "
    "Gumbel-softmax*, 2017",
    "1611.02163": "Metz et al., *Unrolled generative adversarial networks*, "
    "2017",
    "1611.04076": "Mao et al., *Least squares generative adversarial "
    "networks*, 2017",
    "1611.07004": "Isola et al., *Image-to-image translation with conditional "
    "adversarial networks*, 2017",
    "1701.07875": "Arjovsky, Chintala, Bottou, *Wasserstein GAN*, 2017",
    "1704.00028": "Gulrajani et al., *Improved training of Wasserstein GANs*, "
    "2017",
    "1705.02894": "Lim, Ye, *Geometric GAN*, 2017",
    "1705.07215": "Kodali et al., *On convergence and stability of GANs*, 2017",
    "1705.07761": "Srivastava et al., *VEEGAN: Reducing mode collapse in GANs "
    "using implicit variational learning*, 2017",
    "1706.08500": "Heusel et al., *GANs trained by a two time-scale update "
    "rule converge to a local Nash equilibrium*, 2017",
    "1707.00683": "de Vries et al., *Modulating early visual processing by "
    "language*, 2017",
    "1709.08894": "Petzka, Fischer, Lukovnikov, *On the regularization of "
    "Wasserstein GANs*, 2018",
    "1710.10196": "Karras et al., *Progressive growing of GANs for improved "
    "quality, stability, and variation*, 2018",
    "1711.02283": "Seguy et al., *Large-scale optimal transport and mapping "
    "estimation*, 2018",
    "1711.11585": "Wang et al., *High-resolution image synthesis and semantic "
    "manipulation with conditional GANs*, 2018",
    "1712.04086": "Lin et al., *PacGAN: The power of two samples in generative "
    "adversarial networks*, 2018",
    "1801.01401": "Bińkowski et al., *Demystifying MMD GANs*, 2018",
    "1801.04406": "Mescheder, Geiger, Nowozin, *Which training methods for "
    "GANs do actually converge?*, 2018",
    "1802.05637": "Miyato, Koyama, *cGANs with projection discriminator*, 2018",
    "1802.05957": "Miyato et al., *Spectral normalization for generative "
    "adversarial networks*, 2018",
    "1806.08141": "Liutkus et al., *Sliced-Wasserstein flows*, 2019",
    "1807.00734": "Jolicoeur-Martineau, *The relativistic discriminator: a key "
    "element missing from standard GAN*, 2018",
    "1810.06758": "Azadi et al., *Discriminator rejection sampling*, 2019",
    "1810.08278": "Feydy et al., *Interpolating between optimal transport and "
    "MMD using Sinkhorn divergences*, 2019",
    "1811.11357": "Turner et al., *Metropolis-Hastings generative adversarial "
    "networks*, 2019",
    "1901.09321": "Zhang, Dauphin, Ma, *Fixup initialization: Residual "
    "learning without normalization*, 2019",
    "1904.06991": "Kynkäänniemi et al., *Improved precision and recall metric "
    "for assessing generative models*, 2019",
    "1906.04370": "Arbel et al., *Maximum mean discrepancy gradient flow*, "
    "2019",
    "1910.12027": "Zhang et al., *Consistency regularization for generative "
    "adversarial networks*, 2020",
    "1912.04958": "Karras et al., *Analyzing and improving the image quality "
    "of StyleGAN*, 2020",
    "2002.04724": "Zhao et al., *Improved consistency regularization for "
    "GANs*, 2020",
    "2003.06060": "Che et al., *Your GAN is secretly an energy-based model*, "
    "2020",
    "2006.06676": "Karras et al., *Training generative adversarial networks "
    "with limited data*, 2020",
    "2006.10738": "Zhao et al., *Differentiable augmentation for "
    "data-efficient GAN training*, 2020",
    "2012.00780": "Ansari, Ang, Soh, *Refining deep generative models via "
    "discriminator gradient flow*, 2021",
    "2012.09841": "Esser, Rombach, Ommer, *Taming transformers for "
    "high-resolution image synthesis*, 2021",
    "2104.03310": "Tseng et al., *Regularizing generative adversarial networks "
    "under limited data*, 2021",
    "2302.01075": "Yi, Zhu, Liu, *MonoFlow: Rethinking divergence GANs via the "
    "perspective of Wasserstein gradient flows*, 2023",
    "2405.16351": "Malik, Huang, *A differential equation approach for "
    "Wasserstein GANs and beyond*, 2024",
    "2406.13619": "Huang, Malik, *Generative modeling by minimizing the "
    "Wasserstein-2 loss*, 2024",
    "2501.05441": "Huang et al., *The GAN is dead; long live the GAN! A modern "
    "GAN baseline*, 2024",
    "2511.22475": "Lin et al., *Adversarial flow models*, 2025",
    "2602.04770": "Deng et al., *Generative modeling via drifting*, 2026",
    "2603.10592": "Cao, Wei, Liu, *Gradient flow drifting: Generative modeling "
    "via Wasserstein gradient flows of KDE-approximated divergences*, 2026",
    "2603.12366": "*Sinkhorn-drifting generative models*, 2026",
    "2605.05118": "on the energy distance as a velocity, 2026",
    "2605.11755": "Han et al., *One-step generative modeling via Wasserstein "
    "gradient flows*, 2026",
}

TOP = """# Bibliography

The papers that this package builds on, with the classes and functions whose
documentation cites them, in the order of their preprints. The years are mostly
those of publication. The page is written by `docs/generate_bibliography.py`.

| paper | used in |
|---|---|
"""


def citations():
    """Where docstrings cite a paper: names of public objects by number."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        module = path.parent.name if path.stem == "__init__" else path.stem
        for number, name in cited_in(tree, module):
            found.setdefault(number, {})[name] = None
    return {number: list(names) for number, names in found.items()}


def cited_in(node, name):
    """Yields a number and a name for each citation below a node."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    if isinstance(node, kinds):
        text = " ".join((ast.get_docstring(node) or "").split())
        for number in NUMBER.findall(text):
            yield number, name
    for child in ast.iter_child_nodes(node):
        if isinstance(child, kinds[1:]):
            inside = isinstance(node, ast.ClassDef)
            yield from cited_in(
                child, f"{name}.{child.name}" if inside else child.name
            )


def public(names):
    """Those of the reference, or all if there are none."""
    words = set(re.findall(r"\w+", (DOCS / "api.md").read_text("utf-8")))
    return [name for name in names if name.split(".")[0] in words] or names


def shown(name):
    """A name without special methods, which are those of their class."""
    parts = [part for part in name.split(".") if not part.startswith("__")]
    return f"`{'.'.join(parts)}`"


def render():
    """Returns the text of the page."""
    found = citations()
    lines = []
    for number in sorted(found, key=float):
        link = f"[arXiv {number}](https://arxiv.org/abs/{number})"
        names = ", ".join(dict.fromkeys(map(shown, public(found[number]))))
        lines.append(f"| {PAPERS[number]}, {link} | {names} |")
    return TOP + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
