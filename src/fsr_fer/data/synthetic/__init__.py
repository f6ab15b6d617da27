"""Drawing of synthetic faces: action units, people, geometry and paint."""
