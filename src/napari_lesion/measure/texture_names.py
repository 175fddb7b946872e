"""Texture features by the names of IBSI, the names that MIRP gives them, and their IBSI codes."""

from __future__ import annotations

from typing import Final, NamedTuple


class TextureFeature(NamedTuple):
    """One feature: column, name in the tables of MIRP without its settings, title, IBSI code."""

    column: str
    mirp: str
    title: str
    ibsi: str


MATRICES: Final = {
    "glcm": ("Grey level co-occurrence", "_d1_3d_v_mrg"),
    "glrlm": ("Grey level run length", "_3d_v_mrg"),
    "glszm": ("Grey level size zone", "_3d"),
    "gldzm": ("Grey level distance zone", "_3d"),
    "ngtdm": ("Neighbourhood grey tone difference", "_3d"),
    "ngldm": ("Neighbouring grey level dependence", "_d1_a0.0_3d"),
}
"""Matrix, and what MIRP puts behind the names of its features: three dimensions, all directions merged into one
matrix, neighbours at a distance of 1."""

FEATURES: Final = (
    TextureFeature("glcm_joint_maximum", "cm_joint_max", "Joint maximum", "GYBY"),
    TextureFeature("glcm_joint_average", "cm_joint_avg", "Joint average", "60VM"),
    TextureFeature("glcm_joint_variance", "cm_joint_var", "Joint variance", "UR99"),
    TextureFeature("glcm_joint_entropy", "cm_joint_entr", "Joint entropy", "TU9B"),
    TextureFeature("glcm_difference_average", "cm_diff_avg", "Difference average", "TF7R"),
    TextureFeature("glcm_difference_variance", "cm_diff_var", "Difference variance", "D3YU"),
    TextureFeature("glcm_difference_entropy", "cm_diff_entr", "Difference entropy", "NTRS"),
    TextureFeature("glcm_sum_average", "cm_sum_avg", "Sum average", "ZGXS"),
    TextureFeature("glcm_sum_variance", "cm_sum_var", "Sum variance", "OEEB"),
    TextureFeature("glcm_sum_entropy", "cm_sum_entr", "Sum entropy", "P6QZ"),
    TextureFeature("glcm_angular_second_moment", "cm_energy", "Angular second moment", "8ZQL"),
    TextureFeature("glcm_contrast", "cm_contrast", "Contrast", "ACUI"),
    TextureFeature("glcm_dissimilarity", "cm_dissimilarity", "Dissimilarity", "8S9J"),
    TextureFeature("glcm_inverse_difference", "cm_inv_diff", "Inverse difference", "IB1Z"),
    TextureFeature("glcm_normalised_inverse_difference", "cm_inv_diff_norm", "Normalised inverse difference", "NDRX"),
    TextureFeature("glcm_inverse_difference_moment", "cm_inv_diff_mom", "Inverse difference moment", "WF0Z"),
    TextureFeature(
        "glcm_normalised_inverse_difference_moment",
        "cm_inv_diff_mom_norm",
        "Normalised inverse difference moment",
        "1QCO",
    ),
    TextureFeature("glcm_inverse_variance", "cm_inv_var", "Inverse variance", "E8JP"),
    TextureFeature("glcm_correlation", "cm_corr", "Correlation", "NI2N"),
    TextureFeature("glcm_autocorrelation", "cm_auto_corr", "Autocorrelation", "QWB0"),
    TextureFeature("glcm_cluster_tendency", "cm_clust_tend", "Cluster tendency", "DG8W"),
    TextureFeature("glcm_cluster_shade", "cm_clust_shade", "Cluster shade", "7NFM"),
    TextureFeature("glcm_cluster_prominence", "cm_clust_prom", "Cluster prominence", "AE86"),
    TextureFeature("glcm_information_correlation_1", "cm_info_corr1", "Information correlation 1", "R8DG"),
    TextureFeature("glcm_information_correlation_2", "cm_info_corr2", "Information correlation 2", "JN9H"),
    TextureFeature("glrlm_short_runs_emphasis", "rlm_sre", "Short runs emphasis", "22OV"),
    TextureFeature("glrlm_long_runs_emphasis", "rlm_lre", "Long runs emphasis", "W4KF"),
    TextureFeature("glrlm_low_grey_level_run_emphasis", "rlm_lgre", "Low grey level run emphasis", "V3SW"),
    TextureFeature("glrlm_high_grey_level_run_emphasis", "rlm_hgre", "High grey level run emphasis", "G3QZ"),
    TextureFeature(
        "glrlm_short_run_low_grey_level_emphasis", "rlm_srlge", "Short run low grey level emphasis", "HTZT"
    ),
    TextureFeature(
        "glrlm_short_run_high_grey_level_emphasis", "rlm_srhge", "Short run high grey level emphasis", "GD3A"
    ),
    TextureFeature("glrlm_long_run_low_grey_level_emphasis", "rlm_lrlge", "Long run low grey level emphasis", "IVPO"),
    TextureFeature(
        "glrlm_long_run_high_grey_level_emphasis", "rlm_lrhge", "Long run high grey level emphasis", "3KUM"
    ),
    TextureFeature("glrlm_grey_level_non_uniformity", "rlm_glnu", "Grey level non-uniformity", "R5YN"),
    TextureFeature(
        "glrlm_normalised_grey_level_non_uniformity", "rlm_glnu_norm", "Normalised grey level non-uniformity", "OVBL"
    ),
    TextureFeature("glrlm_run_length_non_uniformity", "rlm_rlnu", "Run length non-uniformity", "W92Y"),
    TextureFeature(
        "glrlm_normalised_run_length_non_uniformity", "rlm_rlnu_norm", "Normalised run length non-uniformity", "IC23"
    ),
    TextureFeature("glrlm_run_percentage", "rlm_r_perc", "Run percentage", "9ZK5"),
    TextureFeature("glrlm_grey_level_variance", "rlm_gl_var", "Grey level variance", "8CE5"),
    TextureFeature("glrlm_run_length_variance", "rlm_rl_var", "Run length variance", "SXLW"),
    TextureFeature("glrlm_run_entropy", "rlm_rl_entr", "Run entropy", "HJ9O"),
    TextureFeature("glszm_small_zone_emphasis", "szm_sze", "Small zone emphasis", "5QRC"),
    TextureFeature("glszm_large_zone_emphasis", "szm_lze", "Large zone emphasis", "48P8"),
    TextureFeature("glszm_low_grey_level_zone_emphasis", "szm_lgze", "Low grey level zone emphasis", "XMSY"),
    TextureFeature("glszm_high_grey_level_zone_emphasis", "szm_hgze", "High grey level zone emphasis", "5GN9"),
    TextureFeature(
        "glszm_small_zone_low_grey_level_emphasis", "szm_szlge", "Small zone low grey level emphasis", "5RAI"
    ),
    TextureFeature(
        "glszm_small_zone_high_grey_level_emphasis", "szm_szhge", "Small zone high grey level emphasis", "HW1V"
    ),
    TextureFeature(
        "glszm_large_zone_low_grey_level_emphasis", "szm_lzlge", "Large zone low grey level emphasis", "YH51"
    ),
    TextureFeature(
        "glszm_large_zone_high_grey_level_emphasis", "szm_lzhge", "Large zone high grey level emphasis", "J17V"
    ),
    TextureFeature("glszm_grey_level_non_uniformity", "szm_glnu", "Grey level non-uniformity", "JNSA"),
    TextureFeature(
        "glszm_normalised_grey_level_non_uniformity", "szm_glnu_norm", "Normalised grey level non-uniformity", "Y1RO"
    ),
    TextureFeature("glszm_zone_size_non_uniformity", "szm_zsnu", "Zone size non-uniformity", "4JP3"),
    TextureFeature(
        "glszm_normalised_zone_size_non_uniformity", "szm_zsnu_norm", "Normalised zone size non-uniformity", "VB3A"
    ),
    TextureFeature("glszm_zone_percentage", "szm_z_perc", "Zone percentage", "P30P"),
    TextureFeature("glszm_grey_level_variance", "szm_gl_var", "Grey level variance", "BYLV"),
    TextureFeature("glszm_zone_size_variance", "szm_zs_var", "Zone size variance", "3NSA"),
    TextureFeature("glszm_zone_size_entropy", "szm_zs_entr", "Zone size entropy", "GU8N"),
    TextureFeature("gldzm_small_distance_emphasis", "dzm_sde", "Small distance emphasis", "0GBI"),
    TextureFeature("gldzm_large_distance_emphasis", "dzm_lde", "Large distance emphasis", "MB4I"),
    TextureFeature("gldzm_low_grey_level_zone_emphasis", "dzm_lgze", "Low grey level zone emphasis", "S1RA"),
    TextureFeature("gldzm_high_grey_level_zone_emphasis", "dzm_hgze", "High grey level zone emphasis", "K26C"),
    TextureFeature(
        "gldzm_small_distance_low_grey_level_emphasis", "dzm_sdlge", "Small distance low grey level emphasis", "RUVG"
    ),
    TextureFeature(
        "gldzm_small_distance_high_grey_level_emphasis",
        "dzm_sdhge",
        "Small distance high grey level emphasis",
        "DKNJ",
    ),
    TextureFeature(
        "gldzm_large_distance_low_grey_level_emphasis", "dzm_ldlge", "Large distance low grey level emphasis", "A7WM"
    ),
    TextureFeature(
        "gldzm_large_distance_high_grey_level_emphasis",
        "dzm_ldhge",
        "Large distance high grey level emphasis",
        "KLTH",
    ),
    TextureFeature("gldzm_grey_level_non_uniformity", "dzm_glnu", "Grey level non-uniformity", "VFT7"),
    TextureFeature(
        "gldzm_normalised_grey_level_non_uniformity", "dzm_glnu_norm", "Normalised grey level non-uniformity", "7HP3"
    ),
    TextureFeature("gldzm_zone_distance_non_uniformity", "dzm_zdnu", "Zone distance non-uniformity", "V294"),
    TextureFeature(
        "gldzm_normalised_zone_distance_non_uniformity",
        "dzm_zdnu_norm",
        "Normalised zone distance non-uniformity",
        "IATH",
    ),
    TextureFeature("gldzm_zone_percentage", "dzm_z_perc", "Zone percentage", "VIWW"),
    TextureFeature("gldzm_grey_level_variance", "dzm_gl_var", "Grey level variance", "QK93"),
    TextureFeature("gldzm_zone_distance_variance", "dzm_zd_var", "Zone distance variance", "7WT1"),
    TextureFeature("gldzm_zone_distance_entropy", "dzm_zd_entr", "Zone distance entropy", "GBDU"),
    TextureFeature("ngtdm_coarseness", "ngt_coarseness", "Coarseness", "QCDE"),
    TextureFeature("ngtdm_contrast", "ngt_contrast", "Contrast", "65HE"),
    TextureFeature("ngtdm_busyness", "ngt_busyness", "Busyness", "NQ30"),
    TextureFeature("ngtdm_complexity", "ngt_complexity", "Complexity", "HDEZ"),
    TextureFeature("ngtdm_strength", "ngt_strength", "Strength", "1X9X"),
    TextureFeature("ngldm_low_dependence_emphasis", "ngl_lde", "Low dependence emphasis", "SODN"),
    TextureFeature("ngldm_high_dependence_emphasis", "ngl_hde", "High dependence emphasis", "IMOQ"),
    TextureFeature("ngldm_low_grey_level_count_emphasis", "ngl_lgce", "Low grey level count emphasis", "TL9H"),
    TextureFeature("ngldm_high_grey_level_count_emphasis", "ngl_hgce", "High grey level count emphasis", "OAE7"),
    TextureFeature(
        "ngldm_low_dependence_low_grey_level_emphasis", "ngl_ldlge", "Low dependence low grey level emphasis", "EQ3F"
    ),
    TextureFeature(
        "ngldm_low_dependence_high_grey_level_emphasis",
        "ngl_ldhge",
        "Low dependence high grey level emphasis",
        "JA6D",
    ),
    TextureFeature(
        "ngldm_high_dependence_low_grey_level_emphasis",
        "ngl_hdlge",
        "High dependence low grey level emphasis",
        "NBZI",
    ),
    TextureFeature(
        "ngldm_high_dependence_high_grey_level_emphasis",
        "ngl_hdhge",
        "High dependence high grey level emphasis",
        "9QMG",
    ),
    TextureFeature("ngldm_grey_level_non_uniformity", "ngl_glnu", "Grey level non-uniformity", "FP8K"),
    TextureFeature(
        "ngldm_normalised_grey_level_non_uniformity", "ngl_glnu_norm", "Normalised grey level non-uniformity", "5SPA"
    ),
    TextureFeature("ngldm_dependence_count_non_uniformity", "ngl_dcnu", "Dependence count non-uniformity", "Z87G"),
    TextureFeature(
        "ngldm_normalised_dependence_count_non_uniformity",
        "ngl_dcnu_norm",
        "Normalised dependence count non-uniformity",
        "OKJI",
    ),
    TextureFeature("ngldm_dependence_count_percentage", "ngl_dc_perc", "Dependence count percentage", "6XV8"),
    TextureFeature("ngldm_grey_level_variance", "ngl_gl_var", "Grey level variance", "1PFV"),
    TextureFeature("ngldm_dependence_count_variance", "ngl_dc_var", "Dependence count variance", "DNX2"),
    TextureFeature("ngldm_dependence_count_entropy", "ngl_dc_entr", "Dependence count entropy", "FCBV"),
    TextureFeature("ngldm_dependence_count_energy", "ngl_dc_energy", "Dependence count energy", "CAS9"),
)
