"""What every class with a name promises, whatever it is."""

import inspect
import json

import keras

#: Arguments that are accepted beside those that have replaced them.
OLD_NAMES = {"centres"}


def config(thing):
    """What Keras writes into a file; two things are equal if theirs are."""
    return keras.saving.serialize_keras_object(thing)


def check_round_trip(thing):
    """Returns the copy that JSON carries through `keras.saving`."""
    arguments = set(inspect.signature(type(thing)).parameters) - OLD_NAMES
    assert arguments <= set(thing.get_config()), "an argument gets lost"
    written = json.loads(json.dumps(config(thing)))
    copy = keras.saving.deserialize_keras_object(written)
    assert type(copy) is type(thing)
    assert config(copy) == config(thing)
    assert written["registered_name"].startswith("keras_monoflow>")
    return copy


def check_names(registry, get, name):
    """The name, its spellings and its aliases give equal objects."""
    expected = config(registry.makers[name]())
    spellings = [name, name.upper(), f" {name.replace('_', '-')} "]
    for spelling in [*spellings, *registry.names_for(name)]:
        assert config(get(spelling)) == expected, spelling
