"""How the models that ship were made: folds, patches, training, mining, evaluation, bundles."""
