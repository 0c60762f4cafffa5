import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from os import PathLike
from pathlib import Path

import torch
from mmcv import Config
from mmseg.datasets import build_dataset
from mmseg.datasets.builder import DATASETS

from dynaseg.analysis.comparison import Comparison
from dynaseg.analysis.naming import build_evaluated, check_replaceable, name_by_labels
from dynaseg.analysis.naming_page import write_naming_page
from dynaseg.analysis.probe import train_probe
from dynaseg.analysis.survey import survey_clusters
from dynaseg.io.files import take_evenly, write_file
from dynaseg.io.names import ClusterNames, hash_file, read_names_of, write_names
from dynaseg.mmseg.build import build_segmentor_from
from dynaseg.mmseg.checks.parts import check_dataset
from dynaseg.mmseg.configs import load_config, name_config
from dynaseg.mmseg.datasets import ClusterEvaluationMixin
from dynaseg.mmseg.models import DynaSeg
from dynaseg.mmseg.training_data import list_parts


def analyze_clusters(
    config: str | PathLike | Config,
    checkpoint: str | PathLike | None = None,
    out_dir: str | PathLike = 'analysis',
    device: str | torch.device | None = None,
    seed: int = 0,
    num_pictures: int = 12,
    probe_pixels: int = 0,
    naming_images: int = 60,
    names: str | PathLike | None = None,
    names_from_labels: int = 0,
    without_labels: bool = False,
) -> dict:
    """Show what the clusters of a trained segmentor contain, and let a person name them.

    Written to ``out_dir``: ``naming.html``, a page that shows every cluster in images of
    ``data.train`` (or ``data.test`` if there is none) and on which clusters are named: it uses no
    labels, and saves ``names.json``; and ``clusters.json``, all figures and one record per cluster.

    If ``data.test`` has classes, also ``confusion.csv``, the pixels of every cluster (rows) in
    every class (columns); ``confusion.png``, the same as shares of the clusters; ``pictures/``,
    test images beside their clusters, the classes these are matched to and the true ones;
    ``index.html``, a page with these and the figures.

    Args:
        config: path of a config, a name under DynaSeg's ``configs/``, or a loaded config.
        checkpoint: file with trained weights; None for fresh ones, drawn from ``seed``.
        out_dir: folder for the outputs, created if missing.
        device: such as ``'cpu'`` or ``'cuda:1'``; None for the GPU if there is one.
        seed: seed of fresh weights and of the probe's pixels, at least 0.
        num_pictures: number of test images to draw, evenly spaced.
        probe_pixels: if positive, that many labelled pixels of ``data.train`` train a logistic
            regression on the frozen features, as in the linear probe of self-supervised learning.
            It uses labels, so its figures are listed under their own name.
        naming_images: number of images, evenly spaced, on the naming page; 0 for no page.
        names: file with names of the clusters (:mod:`dynaseg.io.names`) that the page starts with.
        names_from_labels: if N is positive, names are derived from the labels of every N-th image
            of ``data.train``, and written to ``names.json``, which no person may have made.
        without_labels: make only the naming page, and read no labels even if there are some, so
            that whoever names clusters by pictures sees no figures first.

    Returns:
        The contents of ``clusters.json``. ``naming`` holds what the naming page shows; ``figures``
        those of each protocol by name: ``hungarian`` (clusters one to one with classes, once for
        the set), ``majority`` (each cluster has its most frequent class: over-clustering, where
        clusters outnumber classes) and, if requested, ``linear_probe``. Figures of named clusters
        come from tests with ``test_cfg.names``, which is not used here.

    Raises:
        FileNotFoundError: if the config, the checkpoint, the names or the data are missing.
        ValueError: if a setting is invalid, a request needs classes that the data do not have, a
            ``names.json`` that was not made from labels would be replaced, or the segmentor is
            fitted to each image, so that no cluster belongs to the data set.
    """
    counts = {
        'num_pictures': num_pictures,
        'probe_pixels': probe_pixels,
        'naming_images': naming_images,
        'names_from_labels': names_from_labels,
    }
    for name, value in counts.items():
        if value < 0:
            raise ValueError(f'{name} must be at least 0, got {value}')
    if names is not None and names_from_labels:
        raise ValueError('names and names_from_labels exclude each other')
    if without_labels and (probe_pixels or names_from_labels):
        raise ValueError('probe_pixels and names_from_labels need labels: omit without_labels')
    out_dir = Path(out_dir)
    if names_from_labels:
        check_replaceable(out_dir / 'names.json')
    config = load_config(config)
    data = config.get('data', {})
    if 'test' not in data or ((probe_pixels or names_from_labels) and 'train' not in data):
        raise ValueError(
            f'{name_config(config)}: expected data.test (and data.train for the probe, and for '
            'names from labels)'
        )
    for subset in {'train', 'test'} & {*data}:
        check_dataset(f'data.{subset}', data[subset])
    for subset in ['test'] + ['train'] * bool(probe_pixels or names_from_labels):
        if not isinstance(data[subset], Mapping) or 'dataset' in data[subset]:
            raise ValueError(
                f'{name_config(config)}: data.{subset} must be one data set to be compared with'
            )
    segmentor = build_segmentor_from(config, checkpoint, device, seed)
    segmentor.names = segmentor.groups = None  # clusters are shown as they are
    if segmentor.segmentation.fitter is not None:
        raise ValueError(
            f'{name_config(config)}: test_cfg.fit makes clusters for each image; there are none of '
            'the data set to show'
        )
    given = None if names is None else read_names_of(names, checkpoint)
    if given is not None:
        try:
            given.number_labels(segmentor.num_classes)  # which rejects those of other clusters
        except ValueError as error:
            raise ValueError(f'{names}: {error}') from error
    kind = DATASETS.get(data.test['type'])
    has_classes = isinstance(kind, type) and issubclass(kind, ClusterEvaluationMixin)
    # Without classes its images are not read, and need not exist.
    test_set = (
        build_dataset({**data.test, 'test_mode': not without_labels}) if has_classes else None
    )
    # Built first, to report what is missing before anything takes long.
    train_set = build_evaluated(config, 'train') if probe_pixels else None
    sha256 = hash_file(checkpoint) if checkpoint and Path(checkpoint).is_file() else None
    if names_from_labels:
        given = replace(
            name_by_labels(segmentor, config, names_from_labels), checkpoint_sha256=sha256
        )
        write_names(out_dir / 'names.json', given)
    analysis = {
        'config': Path(config.filename or 'given in Python').name,
        'checkpoint': None if checkpoint is None else Path(checkpoint).name,
    }
    comparison = None
    if has_classes and not without_labels:
        probe = train_set and train_probe(segmentor, train_set, probe_pixels, seed)
        comparison = Comparison(segmentor, test_set, num_pictures, probe)
        analysis |= comparison.analysis
    if naming_images:
        subset = 'train' if 'train' in data else 'test'
        files = _list_files(data[subset], data.test.pipeline)
        chosen = take_evenly(files, naming_images)
        place = f'{len(chosen)} of the {len(files)} images of data.{subset}'
        name = analysis['config']
        person = f'a person, by the pictures of {place} of {name}'
        facts = {
            'title': f'{name} · {analysis["checkpoint"] or "fresh weights"} · {place}',
            'made_from': person if given is None else f'{given.made_from}; then {person}',
            'checkpoint_sha256': sha256,
        }
        classes = test_set.CLASSES if has_classes else ()
        analysis['naming'] = _write_naming(segmentor, chosen, out_dir, classes, given, facts)
    if comparison is not None:
        comparison.write(out_dir, analysis)
    write_file(out_dir / 'clusters.json', json.dumps(analysis, indent=1))
    return analysis


def _list_files(subset: Mapping | Sequence[Mapping], pipeline: list[dict]) -> list[Path]:
    if not isinstance(subset, Mapping):
        return [path for one in subset for path in _list_files(one, pipeline)]
    if 'dataset' in subset:  # repeated, or mixed with others of its images
        return _list_files(subset['dataset'], pipeline)
    dataset = build_dataset({**subset, 'pipeline': pipeline, 'test_mode': False})
    return [
        Path(part.img_dir or '', info['filename'])
        for part in list_parts(dataset)
        for info in part.img_infos
    ]


def _write_naming(
    segmentor: DynaSeg,
    files: list[Path],
    out_dir: Path,
    classes: tuple[str, ...],
    names: ClusterNames | None,
    facts: Mapping[str, str],
) -> dict:
    """Write the naming page; returns what it shows of the clusters, as JSON values."""
    clusters, maps = survey_clusters(segmentor, files)
    given = {} if names is None else names.names
    write_naming_page(out_dir, clusters, files, maps, classes, given, facts)
    records = [{'cluster': label, **asdict(cluster)} for label, cluster in enumerate(clusters)]
    shown = {'images': [path.name for path in files], 'clusters': records}
    return json.loads(json.dumps(shown))
